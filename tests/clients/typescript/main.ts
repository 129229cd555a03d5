// Reads rows through the client that openapi-generator generated: ADDRESS.
import { Configuration, DataApi, type ShownRow } from "./generated/index.js";

declare const process: { argv: string[] };

const data = new DataApi(new Configuration({ basePath: process.argv[2]! }));

async function ids(parameters: Parameters<DataApi["listRows"]>[0]): Promise<string> {
  const rows = (await data.listRows(parameters)) as ShownRow[];
  return rows.map((row) => row.userId).join();
}

function check(found: string, expected: string): void {
  if (found !== expected) throw new Error(`${found}, not ${expected}`);
}

check(await ids({ userIdIn: "1001,1000" }), "1000,1001");
check(await ids({ imgPathIsnull: "true", limit: 2 }), "1005,1010");
check(await ids({ userId: "unknown" }), "");
