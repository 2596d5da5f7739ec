// The official Anthropic client (Node) as a user of the gateway.

import * as lines from "./lines.mjs";

const { Anthropic } = lines.load("@anthropic-ai/sdk");
const tool = { name: "weather", input_schema: lines.city };

const client = (wish) =>
  new Anthropic({
    baseURL: lines.url,
    apiKey: wish.key ?? lines.key,
    maxRetries: wish.retries ?? 0,
    timeout: wish.timeout_s ? wish.timeout_s * 1000 : lines.patienceMs,
    defaultHeaders: wish.headers,
  });

const asked = (wish) => ({
  model: wish.model,
  max_tokens: 256,
  messages: [{ role: "user", content: lines.padded(wish) }],
});

const textOf = (message) =>
  message.content
    .filter((block) => block.type === "text")
    .map((block) => block.text)
    .join("");

async function create(wish) {
  const body = { ...asked(wish), ...wish.more };
  const { data, response } = await client(wish).messages.create(body).withResponse();
  return {
    text: textOf(data),
    finish: data.stop_reason,
    input_tokens: data.usage.input_tokens,
    output_tokens: data.usage.output_tokens,
    request_id: data._request_id,
    served: response.headers.get("x-weir-provider"),
  };
}

async function stream(wish) {
  const events = client(wish).messages.stream(asked(wish));
  let pieces = 0;
  for await (const event of events) {
    if (event.type === "content_block_delta") pieces += 1;
    if (pieces === wish.leave_after) {
      events.abort();
      return { pieces };
    }
  }
  const read = await events.finalMessage();
  return { text: textOf(read), pieces, finish: read.stop_reason, output_tokens: read.usage.output_tokens };
}

async function tools(wish) {
  const { messages } = client(wish);
  const body = { ...asked(wish), tools: [tool] };
  const first = wish.stream ? await messages.stream(body).finalMessage() : await messages.create(body);
  const call = first.content.find((block) => block.type === "tool_use");
  const result = { type: "tool_result", tool_use_id: call.id, content: lines.weather(call.input) };
  const turns = [
    ...body.messages,
    { role: "assistant", content: first.content },
    { role: "user", content: [result] },
  ];
  const last = await messages.create({ ...body, messages: turns });
  return { name: call.name, arguments: call.input, finish: first.stop_reason, text: textOf(last) };
}

async function schema(wish) {
  const form = { format: { type: "json_schema", schema: lines.schema } };
  const read = await client(wish).messages.create({ ...asked(wish), output_config: form });
  return { data: JSON.parse(textOf(read)) };
}

async function vision(wish) {
  const source = { type: "base64", media_type: "image/png", data: wish.png };
  const content = [
    { type: "image", source },
    { type: "text", text: wish.text },
  ];
  const read = await client(wish).messages.create({ ...asked(wish), messages: [{ role: "user", content }] });
  return { text: textOf(read) };
}

async function count(wish) {
  const { model, messages } = asked(wish);
  const read = await client(wish).messages.countTokens({ model, messages });
  return { input_tokens: read.input_tokens };
}

async function models(wish) {
  const found = [];
  for await (const model of client(wish).models.list()) found.push(model.id);
  return { models: found };
}

await lines.serve({ create, stream, tools, schema, vision, count, models }, Anthropic.APIError);
