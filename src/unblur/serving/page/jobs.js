// One job of the server, from upload to result; what is wrong is thrown as the server says it.

export class Refused extends Error {
  constructor(status, line, seconds) {
    super(line);
    Object.assign(this, { status, seconds });
  }
}

// Have a job done on a file, and return the result with what the server says of it; `tell` gets how far it is in between.
// Where `signal` aborts, the server stops as well.
export async function job(address, file, key, signal, tell) {
  const headers = key ? { "X-API-Key": key } : {};
  const ask = async (address, options) => {
    const answer = await fetch(`.${address}`, { headers, signal, ...options });
    if (!answer.ok) throw new Refused(answer.status, await lineOf(answer), Number(answer.headers.get("retry-after")));
    return answer;
  };
  const begun = await (await ask(address, { method: "POST", body: file })).json();
  const forget = () => fetch(`.${begun.address}`, { method: "DELETE", headers, keepalive: true });
  addEventListener("pagehide", forget); // nobody will fetch the result any more
  try {
    let said = begun;
    while (!["done", "failed", "cancelled"].includes(said.status)) {
      for await (const each of events(await ask(said.events))) tell((said = each));
    }
    if (said.status !== "done") throw new Refused(422, said.error ?? "the server has cancelled it; try again");
    return { said, result: await (await ask(said.result)).blob() };
  } finally {
    removeEventListener("pagehide", forget);
    forget().catch(() => {}); // the server deletes it later
  }
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
  try {
    return (await answer.json()).error;
  } catch {
    return `the server answers ${answer.status}`;
  }
}
