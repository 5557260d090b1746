// The HTTP interface of the server these pages come from: a function for calls, and one for uploads that tell how far
// they are.

import { currentKey, askForKey } from "./key.js";

// Pages lie in console/, the interface beside it: also behind a proxy that puts both under a prefix.
const ROOT = new URL("../", import.meta.url);

// An answer that is no success, as the server tells it (RFC 9457); or `unreachable`, where none came.
export class Problem extends Error {
  constructor(status, body, retryAfter = null) {
    super(body.detail);
    this.status = status;
    this.code = body.code;
    this.requestId = body.request_id ?? null;
    this.retryAfter = retryAfter;
    this.body = body;
  }

  // Whether the same call may well succeed a little later.
  get passing() {
    return this.status === 0 || this.status === 429 || this.status === 503;
  }
}

export function address(path, query = {}) {
  const url = new URL(path.replace(/^\//, ""), ROOT);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  return url;
}

// Calls the server. A call that needs a key asks for one and is made again, unless it is `quiet`.
//   query, json, form: what to send; signal: to give it up; as: "json" or "blob".
// Throws Problem; AbortError where it was given up.
export async function call(method, path, { query, json, form, signal, quiet = false, as = "json" } = {}) {
  for (;;) {
    const key = currentKey();
    const headers = key ? { "X-API-Key": key } : {};
    if (json !== undefined) headers["Content-Type"] = "application/json";
    const body = json !== undefined ? JSON.stringify(json) : form;
    let answer;
    try {
      answer = await fetch(address(path, query), { method, headers, body, signal, credentials: "omit" });
      if (answer.ok) return answer.status === 204 ? null : await answer[as]();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw unreachable();
    }
    const problem = await problemOf(answer);
    if (answer.status !== 401 || quiet || !(await askForKey(problem, key))) throw problem;
  }
}

// Uploads a form, and tells `progress` the share that is sent (0..1). Throws as `call` does.
export async function upload(path, { query, form, progress, signal }) {
  for (;;) {
    const key = currentKey();
    const { status, text, retryAfter } = await sent(address(path, query), key, form, progress, signal);
    const body = parsed(text, status);
    if (status >= 200 && status < 300) return body;
    const problem = new Problem(status, body, retryAfter);
    if (status !== 401 || !(await askForKey(problem, key))) throw problem;
  }
}

function sent(url, key, form, progress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    if (key) request.setRequestHeader("X-API-Key", key);
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onload = () => {
      const retryAfter = seconds(request.getResponseHeader("Retry-After"));
      resolve({ status: request.status, text: request.responseText, retryAfter });
    };
    request.onerror = () => reject(unreachable());
    request.onabort = () => reject(new DOMException("given up", "AbortError"));
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

async function problemOf(answer) {
  let text = "";
  try {
    text = await answer.text();
  } catch {
    // What came of it is gone; the status tells enough.
  }
  return new Problem(answer.status, parsed(text, answer.status), seconds(answer.headers.get("Retry-After")));
}

function parsed(text, status) {
  try {
    return JSON.parse(text);
  } catch {
    // Not the server's own words: of a proxy before it, say.
    const detail = `The answer has status ${status}, and says nothing that this page can read.`;
    return { code: `http_${status}`, detail };
  }
}

function seconds(header) {
  return /^\d+$/.test(header ?? "") ? Number(header) : null;
}

function unreachable() {
  const detail = "The server does not answer. Is it running, and is this computer connected to it?";
  return new Problem(0, { code: "unreachable", detail });
}

// A form of fields; of a list, one for each of its values.
export function formOf(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null) form.append(name, one);
    }
  }
  return form;
}
