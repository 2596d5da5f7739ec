// The official OpenAI client (Node) as a user of the gateway.

import * as lines from "./lines.mjs";

const { OpenAI } = lines.load("openai");
const tool = { type: "function", function: { name: "weather", parameters: lines.city } };
const form = { type: "json_schema", json_schema: { name: "weir", strict: true, schema: lines.schema } };

const client = (wish) =>
  new OpenAI({
    baseURL: `${lines.url}/v1`,
    apiKey: wish.key ?? lines.key,
    maxRetries: wish.retries ?? 0,
    timeout: wish.timeout_s ? wish.timeout_s * 1000 : lines.patienceMs,
    defaultHeaders: wish.headers,
  });

const asked = (wish) => ({ model: wish.model, messages: [{ role: "user", content: lines.padded(wish) }] });

async function create(wish) {
  const body = { ...asked(wish), ...wish.more };
  const { data, response } = await client(wish).chat.completions.create(body).withResponse();
  return {
    text: data.choices[0].message.content,
    finish: data.choices[0].finish_reason,
    input_tokens: data.usage.prompt_tokens,
    output_tokens: data.usage.completion_tokens,
    request_id: data._request_id,
    served: response.headers.get("x-weir-provider"),
  };
}

async function stream(wish) {
  const body = { ...asked(wish), stream: true, stream_options: { include_usage: true } };
  const pieces = await client(wish).chat.completions.create(body);
  const texts = [];
  let finish = null;
  let outputTokens = null;
  for await (const piece of pieces) {
    for (const choice of piece.choices) {
      if (choice.delta.content) texts.push(choice.delta.content);
      finish = choice.finish_reason ?? finish;
    }
    outputTokens = piece.usage?.completion_tokens ?? outputTokens;
    if (texts.length === wish.leave_after) {
      pieces.controller.abort();
      break;
    }
  }
  return { text: texts.join(""), pieces: texts.length, finish, output_tokens: outputTokens };
}

async function tools(wish) {
  const completions = client(wish).chat.completions;
  const body = { ...asked(wish), tools: [tool] };
  const first = wish.stream
    ? await completions.stream(body).finalChatCompletion()
    : await completions.create(body);
  const { message, finish_reason: finish } = first.choices[0];
  const [call] = message.tool_calls;
  const made = JSON.parse(call.function.arguments);
  const result = { role: "tool", tool_call_id: call.id, content: lines.weather(made) };
  const last = await completions.create({ ...body, messages: [...body.messages, message, result] });
  return { name: call.function.name, arguments: made, finish, text: last.choices[0].message.content };
}

async function schema(wish) {
  const read = await client(wish).chat.completions.parse({ ...asked(wish), response_format: form });
  return { data: JSON.parse(read.choices[0].message.content) };
}

async function vision(wish) {
  const picture = { type: "image_url", image_url: { url: `data:image/png;base64,${wish.png}` } };
  const content = [{ type: "text", text: wish.text }, picture];
  const body = { model: wish.model, messages: [{ role: "user", content }] };
  return { text: (await client(wish).chat.completions.create(body)).choices[0].message.content };
}

async function responses(wish) {
  const body = { model: wish.model, input: wish.text };
  const whole = await client(wish).responses.create(body);
  const streamed = await client(wish).responses.stream(body).finalResponse();
  return { text: whole.output_text, streamed: streamed.output_text };
}

async function models(wish) {
  const found = [];
  for await (const model of client(wish).models.list()) found.push(model.id);
  return { models: found };
}

await lines.serve({ create, stream, tools, schema, vision, responses, models }, OpenAI.APIError);
