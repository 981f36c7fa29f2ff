// One job of the server, from upload to result; what is wrong is thrown as the server says it.

const TRIES = 5; // times in a row that a lost connection is sought again, each after a second more
const ENDED = ["done", "failed", "cancelled"];

// What the server says is wrong; of a job that failed there is no answer that refuses.
export class Refused extends Error {
  constructor(line, answer) {
    super(line.replace(/^upload: /, "")); // of which the page has the name
    this.status = answer?.status;
    this.seconds = Number(answer?.headers.get("retry-after"));
    this.takesNoJobs = answer?.status === 404 && new URL(answer.url).pathname.endsWith("/v1/jobs");
  }
}

// Have a job done on a file, and return the result with what the server says of it; `tell` gets how far it is in between.
// Where `signal` aborts, the server stops as well.
export async function job(address, file, key, signal, tell) {
  const headers = headersOf(key);
  const ask = (address, options) => asked(address, { headers, signal, ...options });
  const begun = await (await ask(address, { method: "POST", body: file })).json();
  const forget = () => fetch(`.${begun.address}`, { method: "DELETE", headers, keepalive: true });
  addEventListener("pagehide", forget); // nobody will fetch the result any more
  try {
    const said = await followed(begun, ask, signal, tell);
    if (said.status !== "done") throw new Refused(said.error ?? "the server has cancelled it; try again");
    return { said, result: await (await ask(said.result)).blob() };
  } finally {
    removeEventListener("pagehide", forget);
    forget().catch(() => {}); // the server deletes it later
  }
}

// Have a photograph restored by a server that takes no jobs, such as Ray Serve's: nobody knows how far it is.
export async function restoredAtOnce(strength, file, key, signal) {
  const address = `/v1/restore?strength=${strength}`;
  const answer = await asked(address, { method: "POST", body: file, headers: headersOf(key), signal });
  const told = (name) => answer.headers.get(`x-unblur-${name}`);
  const said = { model: told("model"), version: told("version"), sha256: told("sha256"), kind: "photograph" };
  said.format = answer.headers.get("content-type").replace("image/", "").replace("jpeg", "jpg");
  said.seconds = Number(told("milliseconds")) / 1000;
  said.notes = JSON.parse(told("notes"));
  return { said, result: await answer.blob() };
}

const headersOf = (key) => (key ? { "X-API-Key": key } : {});

async function asked(address, options) {
  const answer = await fetch(`.${address}`, options);
  if (!answer.ok) throw new Refused(await lineOf(answer), answer);
  return answer;
}

// Tell what the server says of a job until it has ended: where the connection is lost, the job goes on meanwhile.
async function followed(said, ask, signal, tell) {
  for (let lost = 0; !ENDED.includes(said.status); ) {
    try {
      for await (const each of events(await ask(said.events))) {
        tell((said = each));
        lost = 0;
      }
    } catch (error) {
      if (error instanceof Refused || signal.aborted || lost >= TRIES) throw error;
    }
    if (ENDED.includes(said.status)) break;
    lost += 1;
    await new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(lost, TRIES)));
  }
  return said;
}

// Yield what server-sent events say, up to the end of the connection. EventSource could not send the key.
async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const whole = (text + value).split("\n\n");
    text = whole.pop();
    for (const event of whole) {
      const data = /^data: (.*)$/m.exec(event);
      if (data) yield JSON.parse(data[1]);
    }
  }
}

async function lineOf(answer) {
  const said = await answer.json().catch(() => null); // what stands before the server may answer in its place
  return said?.error ?? `the server answers ${answer.status}`;
}
