// Parses AsyncAPI documents by the parser of the AsyncAPI project, Avro included, and holds every example against its
// schema: node validate.mjs FOLDER DOCUMENT…, FOLDER being where node_modules is. Prints one JSON list, an entry for
// each document.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [folder, ...paths] = process.argv.slice(2);
const load = createRequire(join(folder, "package.json"));
const { Parser } = load("@asyncapi/parser");
const { AvroSchemaParser } = load("@asyncapi/avro-schema-parser");
const Ajv = load("ajv").default;
const addFormats = load("ajv-formats").default;

const SEVERITIES = ["error", "warning", "information", "hint"];

const parser = new Parser();
const avro = AvroSchemaParser();
parser.registerSchemaParser(avro);
const ajv = addFormats(new Ajv({ strict: false, allErrors: true }));

async function judge(path) {
  const { document, diagnostics } = await parser.parse(readFileSync(path, "utf-8"));
  const said = diagnostics.map(({ severity, code, message, path: place }) => ({
    severity: SEVERITIES[severity],
    code,
    message,
    path: place.join("/"),
  }));
  if (!document) return { diagnostics: said };
  const messages = document.components().messages().all();
  let examples = 0;
  let schemas = 0;
  // Of a document of version 3 the parser converts Avro schemas, but leaves out the validation it does for version 2.
  for (const message of messages.filter(isAvro)) {
    schemas += 1;
    const data = message.json().payload["x-parser-original-payload"];
    for (const { message: why } of await avro.validate({ data, path: [] }))
      said.push({ severity: "error", code: "avro", message: why, path: `${message.name()}/payload` });
  }
  for (const [place, schema, value] of messages.flatMap(shown)) {
    const check = ajv.compile(schema.json());
    examples += 1;
    if (!check(value))
      for (const { instancePath, message } of check.errors)
        said.push({ severity: "error", code: "example", message, path: place + instancePath });
  }
  return {
    channels: document.channels().all().length,
    operations: document.operations().all().length,
    messages: messages.length,
    schemas,
    examples,
    diagnostics: said,
  };
}

// The JSON form of a record is not the JSON of its Avro schema, so only its headers are held here; a test of its own
// reads the record.
function shown(message) {
  return message
    .examples()
    .all()
    .flatMap((example) => [
      [`${message.name()}/headers`, message.headers(), example.headers()],
      [`${message.name()}/payload`, isAvro(message) ? undefined : message.payload(), example.payload()],
    ])
    .filter(([, schema, value]) => schema !== undefined && value !== undefined);
}

function isAvro(message) {
  return (message.schemaFormat() ?? "").includes("avro");
}

const judged = [];
for (const path of paths) judged.push(await judge(path));
console.log(JSON.stringify(judged, null, 1));
