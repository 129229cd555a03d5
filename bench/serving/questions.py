"""The requests for each server, and the check that all servers return equal rows."""

import itertools
import json
import random
from datetime import date, datetime, timezone

SHOWN = ("user_id", "first_name", "last_name", "birthts", "img_path")
PAGE_ROWS = 100
# Pages that nginx serves as files; with 1,000,000 rows these are all pages.
PAGES_MAX = 10_000
# Pages that the check requests from every server, and pages over which it follows the `Link` headers.
PAGES_CHECKED = 50
DAY_MS = 86_400_000
# Ages are computed on this day unless the target requires another, so that every run has the same results. It is not 29 February.
ON = date(2026, 11, 24)


class Page:
    """100 rows by user ID: the first ones, or those from an ID on."""

    def __init__(self, number, first):
        self.number, self.first = number, first
        self.ids = [str(number + index) for index in range(PAGE_ROWS)]

    def of_datalake(self):
        return f"/data?limit={PAGE_ROWS}" + ("" if self.first else f"&user_id__gte={self.number}")

    def of_roapi(self):
        """The fastest request of ROAPI for these rows. Without the upper bound it returns others, because it has no order without a sort."""
        bounds = "" if self.first else f"&filter[user_id]gte='{self.number}'&filter[user_id]lt='{self.number + PAGE_ROWS}'"
        return f"/api/tables/users?limit={PAGE_ROWS}{bounds}"

    def of_roapi_sorted(self):
        """The request of a client that does not know the IDs."""
        bound = "" if self.first else f"&filter[user_id]gte='{self.number}'"
        return f"/api/tables/users?limit={PAGE_ROWS}&sort=user_id{bound}"

    def of_datasette(self):
        """Without the number of all rows, which it would count for each request."""
        bound = "" if self.first else f"&user_id__gte={self.number}"
        return f"/users/users.json?_size={PAGE_ROWS}&_shape=array&_nocount=1{bound}"

    def of_nginx(self):
        return f"/{self.file_name()}"

    def file_name(self):
        return f"{'first' if self.first else self.number}.json"


def pages(rows, first_user_number):
    """The first page, and many different ones in random order."""
    starts = [first_user_number + start for start in range(0, rows - PAGE_ROWS + 1, PAGE_ROWS)]
    generator = random.Random(rows)
    chosen = generator.sample(starts, min(PAGES_MAX, len(starts)))
    return Page(first_user_number, first=True), [Page(number, first=False) for number in chosen]


class Figures:
    """Statistics of the users with an image, without one or both, within a range of ages."""

    def __init__(self, image, min_age, max_age):
        self.image, self.min_age, self.max_age = image, min_age, max_age

    def of_datalake(self):
        given = {"on": ON, "is_image_exists": self.image, "min_age": self.min_age, "max_age": self.max_age}
        return "/stats?" + "&".join(f"{name}={value}" for name, value in given.items() if value is not None)

    def few_of_roapi(self):
        """The cheapest SQL for the counts and the minimum and maximum age, without the other fields of `/stats`."""
        return (
            "select count(*) as users, count(img_path) as images, min(birthts) as earliest, max(birthts) as latest "
            f"from users{self.condition()}"
        )

    def all_of_roapi(self):
        """The SQL from which every field of `/stats` can be computed."""
        birth = "date_part('year', birth) * 10000 + date_part('month', birth) * 100 + date_part('day', birth)"
        return (
            f"select ({day_number(ON)} - ({birth})) / 10000 as age, count(*) as users, count(img_path) as images "
            f"from (select to_timestamp_millis(birthts) as birth, img_path from users{self.condition()}) group by 1 order by 1"
        )

    def condition(self):
        terms = []
        if self.image is not None:
            terms.append("img_path is not null" if self.image else "img_path is null")
        if self.min_age is not None:
            terms.append(f"birthts < {after_last_birth(self.min_age)}")
        if self.max_age is not None:
            terms.append(f"birthts >= {after_last_birth(self.max_age + 1)}")
        return " where " + " and ".join(terms) if terms else ""


def figures():
    """Every image filter with many ranges of ages, with and without bounds."""
    least, most = (None, 18, 25, 30, 40, 50, 65), (None, 29, 39, 49, 59, 75)
    ranges = [(low, high) for low in least for high in most if low is None or high is None or low <= high]
    return [Figures(image, *bounds) for image in (None, True, False) for bounds in ranges]


def after_last_birth(years):
    """The first millisecond after the births of users who have completed this number of years."""
    return ((ON.replace(year=ON.year - years) - date(1970, 1, 1)).days + 1) * DAY_MS


def day_number(day):
    """Days so that the difference of two, divided by 10,000, is the completed years between them."""
    return day.year * 10_000 + day.month * 100 + day.day


def age(birthts, on):
    """Completed years of a user who was born on this day."""
    return (day_number(on) - day_number(datetime.fromtimestamp(birthts / 1000, timezone.utc).date())) // 10_000


def shown(content):
    """The rows of a response as tuples. ROAPI omits nulls, and others add columns."""
    return [tuple(row.get(name) for name in SHOWN) for row in json.loads(content)]


def check(question, left, right):
    """Exits on the first difference: servers with different responses are not compared."""
    for pair in itertools.zip_longest(left, right):
        if pair[0] != pair[1]:
            raise SystemExit(f"responses differ, so there are no measurements: {question}\n  {pair[0]}\n  {pair[1]}")


def check_pages(first, many, datalake, roapi, datasette, nginx):
    """Every server returns the same rows for the same page, and so do the pages that the `Link` headers name."""
    for page in [first, *many[:PAGES_CHECKED]]:
        (content,) = datalake.answers([page.of_datalake()])
        rows, today = shown(content), datetime.now(timezone.utc).date()
        check(f"the ids of {page.of_datalake()}", [row[0] for row in rows], page.ids)
        ages = [row["age"] for row in json.loads(content)]
        check(f"the ages of {page.of_datalake()}", ages, [age(row[3], today) for row in rows])
        # ROAPI's order without a sort is chance.
        check(page.of_roapi(), sorted(shown(*roapi.answers([page.of_roapi()]))), rows)
        for server, path in ((roapi, page.of_roapi_sorted()), (datasette, page.of_datasette()), (nginx, page.of_nginx())):
            check(f"{server.name}, {path}", shown(*server.answers([path])), rows)
    path = first.of_datalake()
    for index in range(min(PAGES_CHECKED, len(many) - 1)):
        content, following = datalake.next_page(path)
        expected = [str(first.number + index * PAGE_ROWS + row) for row in range(PAGE_ROWS)]
        check(f"the walk over pages, {path}", [row[0] for row in shown(content)], expected)
        path = following


def check_figures(questions, datalake, roapi):
    """The statistics equal the results of SQL, for every filter."""
    for question in questions:
        answer = json.loads(*datalake.answers([question.of_datalake()]))
        by_age = json.loads(roapi.post("/api/sql", question.all_of_roapi()))
        users = sum(group["users"] for group in by_age)
        images = sum(group["images"] for group in by_age)
        average = sum(group["age"] * group["users"] for group in by_age) / users
        ends = (by_age[0]["age"], by_age[-1]["age"])
        ours = (
            *[(group["age"], group["count"]) for group in answer["by_age"]],
            (answer["count"], answer["with_image"], answer["without_image"]),
            (answer["min_age"], answer["max_age"], round(answer["average_age"], 6)),
        )
        theirs = (
            *[(group["age"], group["users"]) for group in by_age],
            (users, images, users - images),
            (*ends, round(average, 6)),
        )
        check(question.of_datalake(), ours, theirs)
        few = json.loads(roapi.post("/api/sql", question.few_of_roapi()))[0]
        few_ends = (age(few["latest"], ON), age(few["earliest"], ON))
        check(question.few_of_roapi(), (few["users"], few["images"], *few_ends), (users, images, *ends))
