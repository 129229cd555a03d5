// Uses a server through the client that openapi-generator generated: ADDRESS [TOKEN]. With a token, the server protects reads.
package main

import (
	"clients/datalake"
	"context"
	"log"
	"os"
	"slices"
)

func check(is bool, what ...any) {
	if !is {
		log.Fatal(what...)
	}
}

func main() {
	configuration := datalake.NewConfiguration()
	configuration.Servers = datalake.ServerConfigurations{{URL: os.Args[1]}}
	client := datalake.NewAPIClient(configuration)
	ctx := context.Background()
	if len(os.Args) > 2 {
		_, answer, err := client.DataAPI.ListRows(ctx).Execute()
		check(err != nil && answer.StatusCode == 401, "rows without a token:", err)
		_, answer, err = client.RunsAPI.StartRun(ctx).Execute()
		check(err != nil && answer.StatusCode == 401, "a run without a token:", err)
		ctx = context.WithValue(ctx, datalake.ContextAccessToken, os.Args[2])
	}
	list := func() datalake.ApiListRowsRequest { return client.DataAPI.ListRows(ctx) }
	ids := func(request datalake.ApiListRowsRequest) []string {
		rows, _, err := request.Execute()
		check(err == nil, "rows:", err)
		found := []string{}
		for _, row := range *rows.ArrayOfShownRow {
			found = append(found, row.GetUserId())
		}
		return found
	}
	check(len(ids(list())) == 100, "not all rows")
	check(slices.Equal(ids(list().UserIdIn("1001,1000")), []string{"1000", "1001"}), "user_id__in")
	check(slices.Equal(ids(list().ImgPathIsnull("true").Limit(2)), []string{"1005", "1010"}), "img_path__isnull")
	check(slices.Equal(ids(list().BirthtsLt(334702800001)), []string{"1070"}), "birthts__lt")
	check(len(ids(list().UserId("unknown"))) == 0, "rows of an unknown user")
	check(slices.Contains(ids(list().MaxAge("")), "1070"), "max_age")
	statistics, _, err := client.DataAPI.ShowStatistics(ctx).LastNameStartswith("mil").Execute()
	check(err == nil && statistics.Count == 3, "statistics:", err)
	// Without a body, the client sends null.
	run, _, err := client.RunsAPI.StartRun(ctx).Prefer("wait=60").Execute()
	check(err == nil && run.State == "succeeded", "a run:", err)
	full := datalake.NewStartRun()
	full.SetMode(datalake.FULL)
	run, _, err = client.RunsAPI.StartRun(ctx).StartRun(*full).Prefer("wait=60").Execute()
	check(err == nil && run.State == "succeeded" && run.GetMode() == "full", "a full run:", err)
}
