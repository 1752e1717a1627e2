// Asking the API. Law: every figure on a page comes through here; a change carries the session's token, a key
// against doing it twice, and is told as done only when the run has it in its ledger.

export class Refused extends Error {
  constructor(status, told) {
    super(told.detail || `the server answered ${status}`);
    this.status = status; this.code = told.code || ""; this.fix = told.fix || "";
  }
}

const session = { csrf: "", me: null, paths: {}, lastHeard: 0 };
export { session };

async function once(path, options) {
  let answer;
  try { answer = await fetch(path, { credentials: "same-origin", ...options }); }
  catch (error) { if (error.name === "AbortError") throw error; throw new Refused(0, { detail: "the server does not answer" }); }
  session.lastHeard = Date.now();
  const text = await answer.text();
  let told = {};
  try { told = text ? JSON.parse(text) : {}; } catch { told = { detail: "the answer is not JSON" }; }
  if (!answer.ok) throw new Refused(answer.status, told);
  return told;
}

async function again(path, options) {
  try { return await once(path, options()); }
  catch (error) {
    if (error.status !== 401 || !session.me || !session.me.login) throw error;
    const renewed = await once("/auth/refresh", { method: "POST", headers: json(), body: "{}" });
    session.csrf = renewed.csrf;
    return once(path, options());
  }
}

const json = () => ({ "Content-Type": "application/json", ...(session.csrf ? { "X-CSRF-Token": session.csrf } : {}) });

export function get(path, query = {}, signal = undefined) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given).toString();
  return again(text ? `${path}?${text}` : path, () => ({ signal }));
}

export function post(path, run, body = {}, code = "") {
  const key = crypto.randomUUID ? crypto.randomUUID() : [...crypto.getRandomValues(new Uint8Array(16))].map((one) => one.toString(16)).join("");
  const where = run ? `${path}?run=${encodeURIComponent(run)}` : path;
  return again(where, () => ({ method: "POST", body: JSON.stringify(body),
    headers: { ...json(), "Idempotency-Key": key, ...(code ? { "X-TOTP": code } : {}) } }));
}

export async function whoami() {
  session.me = await once("/auth/me", {});
  session.csrf = session.me.csrf || "";
  return session.me;
}

export async function login(username, password, totp) {
  const told = await once("/auth/login", { method: "POST", headers: json(),
    body: JSON.stringify({ username, password, totp, cookie: true }) });
  session.csrf = told.csrf;
  return whoami();
}

export async function renew() {
  const told = await once("/auth/refresh", { method: "POST", headers: json(), body: "{}" });
  session.csrf = told.csrf;
  return whoami();
}

export async function logout() {
  await post("/auth/logout", "");
  session.me = null; session.csrf = "";
}

export async function routes() {
  if (!Object.keys(session.paths).length) session.paths = (await once("/api/openapi.json", {})).paths || {};
  return session.paths;
}
export const offers = (path, method = "post") => Boolean(session.paths[path] && session.paths[path][method]);
export const roleIs = (...names) => Boolean(session.me && names.includes(session.me.role));
