// The model's card, as the server tells it: facts, and its text, of whose Markdown only the plainest is drawn.

const FACTS = {
  version: "version",
  sha256: "SHA-256",
  network: "network",
  parameters: "parameters",
  licence: "licence",
  trained_on: "trained on",
};

// Show the card; who has no key yet is asked for one by `refused`.
export async function showCard(byId, key, refused) {
  const answer = await fetch("./v1/model", { headers: key ? { "X-API-Key": key } : {} });
  if (answer.status === 401) return refused();
  const told = await answer.json();
  byId("card-name").textContent = told.name ?? "The model";
  const facts = Object.entries(FACTS).filter(([name]) => told[name]);
  const rows = facts.map(([name, title]) => [title, told[name].toLocaleString("en")]);
  for (const { metric, data, value, where } of told.figures ?? []) rows.push([metric, `${value} (${data}; ${where})`]);
  byId("card-facts").replaceChildren(...rows.flatMap(([title, text]) => [made("dt", title), made("dd", text)]));
  byId("card-text").replaceChildren(...drawn(told.card || told.fault || told.error || ""));
  byId("card").showModal();
}

const made = (name, text) => Object.assign(document.createElement(name), { textContent: text });

// Yield headings, lists, tables and paragraphs. All is put in as text: a card cannot do more than be read.
function* drawn(text) {
  for (const block of text.split(/\n\s*\n/)) {
    const lines = block.split("\n").filter((line) => line.trim());
    while (/^#+ /.test(lines[0] ?? "")) yield made("h3", lines.shift().replace(/^#+ /, ""));
    if (!lines.length) continue;
    if (lines[0].startsWith("|")) yield table(lines);
    else if (/^[-*] /.test(lines[0])) yield list(lines);
    else yield inline("p", lines.join(" "));
  }
}

function list(lines) {
  const items = [];
  for (const line of lines) {
    if (/^[-*] /.test(line)) items.push(line.slice(2));
    else items[items.length - 1] += ` ${line.trim()}`;
  }
  const drawn = document.createElement("ul");
  drawn.append(...items.map((item) => inline("li", item)));
  return drawn;
}

function table(lines) {
  const drawn = document.createElement("table");
  lines.forEach((line, number) => {
    const cells = line.replace(/^\||\|\s*$/g, "").split("|");
    if (cells.every((cell) => /^\s*:?-+:?\s*$/.test(cell))) return; // the line below the head
    drawn.insertRow().append(...cells.map((cell) => inline(number ? "td" : "th", cell.trim())));
  });
  const around = Object.assign(document.createElement("div"), { className: "scroll" });
  around.append(drawn);
  return around;
}

// Text with **bold**, `code` and [links](address), of which the words stay.
function inline(name, text) {
  const drawn = document.createElement(name);
  for (const part of text.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").split(/(\*\*[^*]+\*\*|`[^`]+`)/)) {
    if (part.startsWith("**")) drawn.append(made("strong", part.slice(2, -2)));
    else if (part.startsWith("`")) drawn.append(made("code", part.slice(1, -1)));
    else drawn.append(part);
  }
  return drawn;
}
