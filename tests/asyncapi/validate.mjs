// Parses an AsyncAPI document by the parser of the AsyncAPI project, Avro included, and holds every example against
// its schema: node validate.mjs FOLDER-OF-NODE_MODULES DOCUMENT. Prints one JSON object; exit code 1 for an error.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [modules, path] = process.argv.slice(2);
const load = createRequire(join(modules, "package.json"));
const { Parser } = load("@asyncapi/parser");
const { AvroSchemaParser } = load("@asyncapi/avro-schema-parser");
const Ajv = load("ajv").default;
const addFormats = load("ajv-formats").default;

const SEVERITIES = ["error", "warning", "information", "hint"];

const parser = new Parser();
parser.registerSchemaParser(AvroSchemaParser());
const { document, diagnostics } = await parser.parse(readFileSync(path, "utf-8"));
const said = diagnostics.map(({ severity, code, message, path: place }) => ({
  severity: SEVERITIES[severity],
  code,
  message,
  path: place.join("/"),
}));

const ajv = addFormats(new Ajv({ strict: false, allErrors: true }));
let examples = 0;

function hold(message, schema, value, part) {
  if (schema === undefined || value === undefined) return;
  const check = ajv.compile(schema.json());
  examples += 1;
  if (!check(value)) {
    for (const { instancePath, message: why } of check.errors)
      said.push({ severity: "error", code: "example", message: why, path: `${message.name()}/${part}${instancePath}` });
  }
}

const messages = document ? document.components().messages().all() : [];
for (const message of messages) {
  const avro = (message.schemaFormat() ?? "").includes("avro");
  for (const example of message.examples().all()) {
    hold(message, message.headers(), example.headers(), "headers");
    // The JSON form of a record is not the JSON of its Avro schema: the contract's own tests hold that one.
    if (!avro) hold(message, message.payload(), example.payload(), "payload");
  }
}

const counts = document
  ? { channels: document.channels().all().length, operations: document.operations().all().length }
  : {};
console.log(JSON.stringify({ ...counts, messages: messages.length, examples, diagnostics: said }, null, 1));
process.exitCode = said.some(({ severity }) => severity === "error") ? 1 : 0;
