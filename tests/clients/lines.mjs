// What the Node clients have in common: one JSON line in, what the client made of it as one line out.
// The packages lie in a folder of their own, which CLIENTS_HOME names.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

export const url = process.env.GATEWAY_URL;
export const key = process.env.GATEWAY_KEY;
export const patienceMs = 20_000;
export const load = createRequire(`${process.env.CLIENTS_HOME}/clients.js`);
export const schema = {
  type: "object",
  properties: { name: { type: "string" }, gates: { type: "integer" } },
  required: ["name", "gates"],
  additionalProperties: false,
};
export const city = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
export const weather = ({ city }) => `12 degrees in ${city}`;
export const padded = (wish) => wish.text + " ".repeat(wish.padding ?? 0);

/** Do what each line asks until there are no more; an error of the client's is an answer, too. */
export async function serve(verbs, APIError) {
  const say = (told) => process.stdout.write(`${JSON.stringify(told)}\n`);
  say(Object.keys(verbs).sort());
  for await (const line of createInterface({ input: process.stdin })) {
    const wish = JSON.parse(line);
    try {
      say(await verbs[wish.verb](wish));
    } catch (error) {
      if (!(error instanceof APIError)) throw error;
      const message = String(error.message).slice(0, 500);
      say({ error: error.constructor.name, status: error.status ?? null, code: error.code ?? null, message });
    }
  }
}
