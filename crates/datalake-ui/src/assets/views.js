// Forms that apply on change, copy buttons of paths, placeholders of broken images, and the fields of filters by type.
(() => {
  // The server drops the empty fields of a form with this marker. Its lines of fields must stay complete.
  const keepsEmptyFields = (form) => form.querySelector("[name=form]") !== null;

  // Requests the address of a form and shows the result in place, so that the focus stays in the form.
  const apply = async (form) => {
    const pairs = Array.from(new FormData(form)).filter(([, value]) => value !== "" || keepsEmptyFields(form));
    const query = new URLSearchParams(pairs);
    const response = await fetch(`${form.getAttribute("action")}?${query}`, { headers: { accept: "text/html" } });
    form.toggleAttribute("data-applying", true);
    history.pushState(null, "", response.url);
    shown = location.pathname + location.search;
    document.dispatchEvent(new Event("show-address"));
  };
  let shown = location.pathname + location.search;
  addEventListener("popstate", () => {
    if (shown !== location.pathname + location.search) location.reload();
  });
  addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("form[data-apply]")) return;
    event.preventDefault();
    apply(form).catch(() => form.submit());
  });

  // A new filter applies once it is complete.
  const isDraft = (field) => {
    const line = field.closest("[data-draft]");
    if (!line) return false;
    const value = (name) => line.querySelector(`[name=${name}]`).value;
    const isNullTest = value("operator") === "isnull" || value("operator") === "notnull";
    return value("column") === "" || value("value") === "" && !isNullTest;
  };
  // A choice of a range that needs a bound applies with the bound.
  const missingBound = (field) => {
    const bounds = Array.from(field.parentElement.querySelectorAll("input")).filter((input) => input.checkVisibility());
    return bounds.every((input) => input.value === "") ? bounds[0] : undefined;
  };
  addEventListener("change", (event) => {
    const field = event.target;
    if (field.name === "column") showOperators(field.closest(".condition"));
    if (!field.form?.matches("form[data-apply]") || isDraft(field)) return;
    const bound = field.matches(".range select") ? missingBound(field) : undefined;
    if (bound) return bound.focus();
    field.form.requestSubmit();
  });

  // Only the operators of the column's type, and an input of this type.
  const showOperators = (line) => {
    const type = line.querySelector("[name=column]").selectedOptions[0].dataset.type;
    const operator = line.querySelector("[name=operator]");
    for (const option of operator.options) {
      option.hidden = option.disabled = type !== undefined && option.dataset.types !== undefined && !option.dataset.types.split(" ").includes(type);
    }
    if (operator.selectedOptions[0]?.disabled) operator.value = "gte";
    line.querySelector("[name=value]").type = type === "day" ? "date" : "text";
  };

  // An image that failed before this script started has no event.
  const markBroken = (image) => image.toggleAttribute("data-broken", true);
  addEventListener("error", (event) => {
    if (event.target.matches?.(".placeholder > img")) markBroken(event.target);
  }, true);
  for (const image of document.querySelectorAll(".placeholder > img")) {
    if (image.complete && image.naturalWidth === 0 && image.loading !== "lazy") markBroken(image);
  }
})();
