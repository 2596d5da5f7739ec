// The page: signs in, asks over the WebSocket (protocol.py says how), shows the answer as it comes.
"use strict";

const $ = (id) => document.getElementById(id);
const turns = new Map(); // id -> a question that has no whole answer yet
const asked = []; // for ArrowUp
let socket = null;
let greeted = false;
let wanted = false; // whether a connection is wanted at all
let failures = 0;
let number = 0;
let recalled = 0;

// --- signing in and out

async function api(method, path, body) {
  const options = { method, credentials: "same-origin", headers: {} };
  if (body !== undefined) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(path, options);
  const text = await answer.text();
  const read = text ? JSON.parse(text) : null;
  if (!answer.ok) {
    throw new Error(read?.error?.message ?? `the gateway answered ${answer.status}`);
  }
  return read;
}

async function signIn(event, body) {
  event.preventDefault();
  const button = event.target.querySelector("button");
  button.disabled = true;
  $("refused").textContent = "";
  try {
    const me = await api("POST", "/api/session", body);
    event.target.reset();
    enter(me);
  } catch (error) {
    $("refused").textContent = said(error);
  } finally {
    button.disabled = false;
  }
}

async function signOut() {
  try {
    await api("DELETE", "/api/session");
  } finally {
    leave("");
  }
}

function enter(me) {
  $("who").textContent = `${me.id.startsWith("user:") ? me.id : `key ${me.id}`} · tenant ${me.tenant}`;
  $("door").hidden = true;
  $("room").hidden = false;
  $("leave").hidden = false;
  wanted = true;
  connect();
  listModels();
  $("question").focus();
}

function leave(reason) {
  wanted = false;
  socket?.close();
  $("who").textContent = "";
  $("room").hidden = true;
  $("leave").hidden = true;
  $("door").hidden = false;
  $("refused").textContent = reason;
  turns.clear();
  $("talk").replaceChildren($("empty"));
  $("empty").hidden = false;
  show("not connected");
  shownWay().querySelector("input").focus();
}

function shownWay() {
  const byKey = document.querySelector("input[name=way]:checked").value === "key";
  $("by-key").hidden = !byKey;
  $("by-user").hidden = byKey;
  return byKey ? $("by-key") : $("by-user");
}

async function listModels() {
  try {
    const { data } = await api("GET", "/v1/models");
    const names = [...new Set(["auto", ...data.map((model) => model.id)])];
    $("model").replaceChildren(...names.map((name) => new Option(name, name)));
  } catch {
    // The list is a convenience: `auto` is there.
  }
}

// --- the socket

function connect() {
  show("connecting…");
  greeted = false;
  const mine = new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws`);
  socket = mine;
  mine.onopen = () => mine.send(JSON.stringify({ type: "hello", version: 1 }));
  mine.onmessage = (event) => mine === socket && hear(JSON.parse(event.data));
  mine.onclose = (event) => mine === socket && closed(event);
}

function closed(event) {
  greeted = false;
  if (!wanted) {
    return;
  }
  show("connection lost, trying again…", "off");
  failures += 1;
  const wait_ms = Math.min(15000, 250 * 2 ** failures) * (0.5 + Math.random() / 2);
  setTimeout(() => again(event.code), wait_ms);
}

async function again(code) {
  if (!wanted) {
    return;
  }
  try {
    // A browser isn't told why a handshake failed; so ask whether the session still holds.
    if (code === 4401 || failures > 1) {
      const answer = await fetch("/api/me", { credentials: "same-origin" });
      if (answer.status === 401) {
        leave("The session is over: sign in again.");
        return;
      }
    }
  } catch {
    // The gateway is away; connecting says so.
  }
  connect();
}

function send(message) {
  socket.send(JSON.stringify(message));
}

function hear(message) {
  const turn = turns.get(message.id);
  switch (message.type) {
    case "hello":
      greeted = true;
      failures = 0;
      show("connected", "on");
      turns.forEach(followOn);
      break;
    case "submitted":
      if (turn) {
        turn.token = message.token;
        turn.request = message.request_id;
      }
      break;
    case "chunk":
      if (turn) grow(turn, message);
      break;
    case "response":
      if (turn) finish(turn, message.response);
      break;
    case "error":
      if (turn) fail(turn, message.code, message.message);
      else show(message.message, "off");
      break;
  }
}

// After a cut: what was asked and accepted is followed from its start; the rest is asked again by hand.
function followOn(turn) {
  if (turn.token) {
    turn.seen = "";
    turn.attempt = 0;
    send({ type: "follow", id: turn.id, token: turn.token });
  } else {
    fail(turn, "lost", "The connection was cut before the question was accepted. Ask again.");
  }
}

// --- asking

function ask(event) {
  event.preventDefault();
  const prompt = $("question").value.trim();
  if (!prompt || !greeted) {
    return;
  }
  number += 1;
  const turn = newTurn(`q${number}`, prompt);
  const request = { prompt, model: $("model").value, stream: true };
  if (!$("text-field").hidden && $("text").value) {
    request.context = $("text").value;
  }
  send({ type: "submit", id: turn.id, request });
  asked.push(prompt);
  recalled = asked.length;
  $("question").value = "";
  fit();
  $("question").focus();
}

function newTurn(id, prompt) {
  const box = element("article", "turn open");
  const answer = element("div", "answer");
  answer.setAttribute("aria-busy", "true");
  box.append(element("p", "asked", prompt), answer);
  $("empty").hidden = true;
  $("talk").append(box);
  const turn = { id, box, answer, seen: "", attempt: 0, began: performance.now(), first: null, thinking: null };
  turns.set(id, turn);
  changed();
  bottom(true);
  return turn;
}

function cancelLast() {
  const turn = [...turns.values()].pop();
  if (turn && greeted && !turn.cancelled) {
    turn.cancelled = true;
    send({ type: "cancel", id: turn.id });
    changed();
  }
}

function grow(turn, chunk) {
  if (chunk.attempt > turn.attempt) {
    turn.attempt = chunk.attempt;
    turn.seen = "";
  }
  turn.first ??= performance.now() - turn.began;
  if (chunk.reasoning_content) {
    think(turn, chunk.reasoning_content);
  }
  turn.seen += chunk.delta;
  if (!turn.drawing) {
    turn.drawing = requestAnimationFrame(() => {
      turn.drawing = 0;
      const follow = atBottom();
      turn.answer.textContent = turn.seen;
      bottom(follow);
    });
  }
}

function think(turn, text) {
  if (!turn.thinking) {
    const details = element("details");
    turn.thinking = element("div", "answer");
    details.append(element("summary", "", "thinking"), turn.thinking);
    turn.box.insertBefore(details, turn.answer);
  }
  turn.thinking.textContent += text;
}

function finish(turn, response) {
  if (response.error) {
    fail(turn, response.error.code, response.error.message, response);
    return;
  }
  turn.seen = response.response ?? "";
  if (response.tool_calls) {
    turn.seen += `\n${JSON.stringify(response.tool_calls, null, 2)}`;
  }
  end(turn);
  turn.box.append(facts(turn, response));
  bottom(true);
}

function fail(turn, code, message, response) {
  end(turn);
  const text = code === "cancelled" ? "cancelled" : `${code}: ${message}`;
  turn.box.append(element("p", code === "cancelled" ? "ending hint" : "ending bad", text));
  if (response) {
    turn.box.append(facts(turn, response));
  }
  bottom(true);
}

function end(turn) {
  cancelAnimationFrame(turn.drawing);
  turn.answer.textContent = turn.seen;
  turn.answer.setAttribute("aria-busy", "false");
  turn.box.classList.remove("open");
  turns.delete(turn.id);
  changed();
}

function facts(turn, response) {
  const list = element("dl", "facts");
  const add = (name, value) => {
    if (value) {
      const pair = element("div");
      pair.append(element("dt", "", name), element("dd", "", value));
      list.append(pair);
    }
  };
  const usage = response.usage;
  const count = response.attempts?.length ?? 0;
  add("model", [response.provider, response.model].filter(Boolean).join(" / "));
  add("tokens", usage && `${usage.input_tokens} in, ${usage.output_tokens} out`);
  add("cost", dollars(response.cost_usd ?? 0));
  add("latency", seconds(response.latency.total_ms));
  add("first piece", turn.first !== null && seconds(turn.first));
  add("attempts", count > 1 && String(count));
  add("cache", response.cache === "hit" && "hit");
  return list;
}

// --- small things

function seconds(time_ms) {
  return time_ms < 1000 ? `${Math.round(time_ms)} ms` : `${(time_ms / 1000).toFixed(1)} s`;
}

function dollars(cost_usd) {
  if (cost_usd >= 1 || cost_usd === 0) return `$${cost_usd.toFixed(2)}`;
  return cost_usd < 1e-6 ? "under $0.000001" : `$${Number(cost_usd.toPrecision(2))}`;
}

function element(tag, kind, text) {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  if (text) made.textContent = text;
  return made;
}

function show(text, kind = "") {
  $("state").textContent = text;
  $("state").className = kind;
  changed();
}

function changed() {
  const open = [...turns.values()].pop();
  $("cancel").hidden = !open;
  $("cancel").disabled = !greeted || Boolean(open?.cancelled);
  $("send").disabled = !greeted;
}

function atBottom() {
  const talk = $("talk");
  return talk.scrollHeight - talk.scrollTop - talk.clientHeight < 40;
}

function bottom(follow) {
  if (follow) $("talk").scrollTop = $("talk").scrollHeight;
}

function fit() {
  const box = $("question");
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight + 2}px`;
}

function recall(step) {
  recalled = Math.max(0, Math.min(asked.length, recalled + step));
  $("question").value = asked[recalled] ?? "";
  fit();
}

function said(error) {
  return error instanceof TypeError ? "The gateway can't be reached." : error.message;
}

function onKey(event) {
  const plain = !event.shiftKey && !event.ctrlKey && !event.altKey && !event.isComposing;
  const value = $("question").value;
  if (event.key === "Enter" && plain) {
    ask(event);
  } else if (event.key === "ArrowUp" && plain && (!value || value === asked[recalled])) {
    event.preventDefault();
    recall(-1);
  } else if (event.key === "ArrowDown" && plain && value && value === asked[recalled]) {
    event.preventDefault();
    recall(1);
  }
}

function toggleText() {
  const open = $("text-field").hidden;
  $("text-field").hidden = !open;
  $("more").setAttribute("aria-expanded", String(open));
  $("more").textContent = open ? "Leave the text out" : "Add a text";
  if (open) $("text").focus();
}

document.querySelectorAll("input[name=way]").forEach((way) => way.addEventListener("change", shownWay));
$("by-key").addEventListener("submit", (event) => signIn(event, { key: $("key").value.trim() }));
$("by-user").addEventListener("submit", (event) =>
  signIn(event, { user: $("name").value, password: $("password").value }),
);
$("leave").addEventListener("click", signOut);
$("ask").addEventListener("submit", ask);
$("cancel").addEventListener("click", cancelLast);
$("more").addEventListener("click", toggleText);
$("question").addEventListener("input", fit);
$("question").addEventListener("keydown", onKey);
document.addEventListener("keydown", (event) => event.key === "Escape" && cancelLast());

api("GET", "/api/me").then(enter, () => shownWay().querySelector("input").focus());
