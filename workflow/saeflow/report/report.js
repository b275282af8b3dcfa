"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const ROWS = 200; // of a table at a time: more would hold up the browser
const WARNED = { verdict: "not as published", at_chance: "yes" };

// Sections fold on a narrow screen, and open for who follows a link into them, and for paper.
if (matchMedia("(max-width: 64rem)").matches) all(".fold").forEach((fold) => { fold.open = false; });
addEventListener("beforeprint", () => all(".fold").forEach((fold) => { fold.open = true; }));
const reveal = (hash) => {
  const target = document.getElementById(decodeURIComponent(hash.slice(1)));
  for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  return target;
};
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#']");
  if (link) reveal(link.hash);
});
addEventListener("hashchange", () => reveal(location.hash));
reveal(location.hash)?.scrollIntoView();

// The list of contents marks what is read.
const watcher = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) {
    all(`nav a[href="#${target.id}"]`).forEach((link) => link.classList.toggle("here", isIntersecting));
  }
}, { rootMargin: "-10% 0px -60%" });
all("nav a").forEach((link) => watcher.observe(document.getElementById(link.hash.slice(1))));

// A picture is in the page once, where it comes first.
all("img[data-of]").forEach((img) => { img.src = document.getElementById(img.dataset.of).src; });
const dialog = document.querySelector("dialog");
const large = dialog.querySelector("img");
all(".picture img").forEach((img) => img.parentElement.addEventListener("click", () => {
  dialog.querySelector("b").textContent = large.alt = img.alt;
  large.src = img.src;
  large.className = img.width > 0.9 * innerWidth ? "full" : ""; // it fills the window already
  dialog.showModal();
}));
dialog.addEventListener("click", (event) => {
  if (event.target === large) large.classList.toggle("full");
  else dialog.close();
});

// What a file beside the page calls, where it is there.
function showTimes(rows) {
  const table = document.getElementById("times");
  table.hidden = !rows.length;
  for (const row of rows) {
    const line = table.tBodies[0].insertRow();
    row.forEach((text, column) => {
      const cell = line.insertCell();
      cell.textContent = text;
      if (column && column < row.length - 1) cell.className = "number";
    });
  }
}

// Tables are unpacked when they are opened.
const integer = new Intl.NumberFormat("en");
const collator = new Intl.Collator("en", { numeric: true });
const show = (value) => {
  if (value === null) return "–";
  if (typeof value === "string") return value;
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e15) return integer.format(value);
  return size >= 1e-3 && size < 1e4 ? String(Number(value.toPrecision(4))) : value.toExponential(3);
};
const cell = ({ values, low, high }, row) => {
  const ends = low && low[row] !== null && high[row] !== null;
  return show(values[row]) + (ends ? ` [${show(low[row])}, ${show(high[row])}]` : "");
};
const compare = (x, y) => {
  if (x === null || y === null) return null;
  return typeof x === "string" ? collator.compare(x, y) : (x > y) - (x < y);
};

// A word is looked for in every text; name<number, name>number and name=value in one column.
const matcher = (query, columns) => {
  const tests = query.toLowerCase().split(/\s+/).filter(Boolean).map((word) => {
    const [, name, sign, value] = word.match(/^(\w+)([<>=])(.+)$/) ?? [];
    const column = columns.find((one) => one.name.toLowerCase() === name)?.values;
    const texts = columns.map((one) => one.values);
    if (!column) return (row) => texts.some((t) => typeof t[row] === "string" && t[row].toLowerCase().includes(word));
    if (sign === "=") return (row) => String(column[row]).toLowerCase() === value;
    const order = sign === "<" ? -1 : 1;
    return (row) => column[row] !== null && compare(column[row], Number(value)) === order;
  });
  return (row) => tests.every((test) => test(row));
};

const fill = (details, columns) => {
  const part = document.querySelector("template").content.cloneNode(true);
  const [input, output, head, body] = ["input", "output", "tr", "tbody"].map((name) => part.querySelector(name));
  const [previous, next] = all("button", part);
  const everything = [...columns[0].values.keys()];
  let rows = everything, first = 0, sorted = null, down = false;
  const draw = () => {
    const last = Math.min(first + ROWS, rows.length);
    output.textContent = rows.length > ROWS ? `${integer.format(first + 1)}–${integer.format(last)} of ${integer.format(rows.length)} rows` : `${rows.length} rows`;
    previous.disabled = first === 0;
    next.disabled = last === rows.length;
    previous.hidden = next.hidden = rows.length <= ROWS;
    body.replaceChildren(...rows.slice(first, last).map((row) => {
      const line = document.createElement("tr");
      for (const column of columns) {
        const data = line.insertCell();
        data.textContent = cell(column, row);
        if (data.textContent.length > 40) data.title = data.textContent; // it may be cut
        if (column.numeric) data.className = "number";
        if (WARNED[column.name] === data.textContent) line.className = "warned";
      }
      return line;
    }));
  };
  const choose = () => {
    rows = everything.filter(matcher(input.value, columns));
    if (sorted) {
      const { values } = sorted;
      rows.sort((a, b) => {
        const order = compare(values[a], values[b]);
        return order === null ? (values[a] === null) - (values[b] === null) : down ? -order : order;
      });
    }
    first = 0;
    draw();
  };
  const turn = (by) => { first += by; draw(); body.closest(".scroll").scrollTop = 0; };
  previous.addEventListener("click", () => turn(-ROWS));
  next.addEventListener("click", () => turn(ROWS));
  input.addEventListener("input", choose);
  for (const column of columns) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = column.name;
    button.title = document.getElementById(`metric-${column.name}`)?.title ?? "";
    button.addEventListener("click", () => {
      // upwards, downwards, as it was
      [sorted, down] = sorted !== column ? [column, false] : down ? [null, false] : [column, true];
      all("th", head).forEach((th) => th.removeAttribute("aria-sort"));
      if (sorted) button.parentElement.setAttribute("aria-sort", down ? "descending" : "ascending");
      choose();
    });
    const th = document.createElement("th");
    th.scope = "col";
    column.numeric = column.values.some((value) => typeof value === "number");
    if (column.numeric) th.className = "number";
    th.append(button);
    head.append(th);
  }
  choose();
  details.append(part);
};
for (const details of all("details.table")) {
  details.addEventListener("toggle", async () => {
    const packed = details.querySelector("script");
    if (!details.open || !packed) return;
    packed.remove();
    const bytes = Uint8Array.from(atob(packed.textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    fill(details, await new Response(stream).json());
  });
}
