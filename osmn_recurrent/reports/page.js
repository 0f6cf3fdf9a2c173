"use strict";
// The page's behaviour. `data` is what html.py stores in the page:
// {metrics, methods: [{name, colour}], clips: [{name, frames: [name],
//  pictures: [URI], ground_truth: [URI], masks: {method: [URI or null]},
//  objects: [id], scores: {method: {id: {at: [frame index], J: [], F: []}}}}]}

const data = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
const DASHES = ["none", "8 4", "2 3", "12 3 2 3"];
const WORST = 24;
const WORST_PER_OBJECT = 3;
let clip = null;
let frame = 0;
let timer = null;

function make(tag, attributes = {}, children = []) {
  const svg = ["svg", "line", "polyline", "text", "rect"].includes(tag);
  const node = svg
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

function percent(value) {
  return (100 * value).toFixed(1);
}

// A score of one frame, or null where the frame is not scored.
function scoreAt(shown, method, object, index, metric) {
  const scores = shown.scores[method][object];
  const place = scores.at.indexOf(index);
  return place < 0 ? null : scores[metric][place];
}

function picture(shown, index, mask) {
  const parts = [make("img", { class: "frame", src: shown.pictures[index], alt: "" })];
  if (mask) {
    parts.push(make("img", { class: "mask", src: mask, alt: "" }));
  }
  return make("span", { class: "picture" }, parts);
}

function scoreText(method) {
  const parts = clip.objects.map((object) => {
    const values = data.metrics.map((metric) => {
      const value = scoreAt(clip, method, object, frame, metric);
      return value === null ? null : `${metric} ${percent(value)}`;
    });
    if (values.includes(null)) {
      return null;
    }
    const label = clip.objects.length > 1 ? `object ${object}: ` : "";
    return label + values.join(", ");
  });
  const known = parts.filter((part) => part !== null);
  return known.length ? known.join("; ") : "not scored";
}

function showFrame(index) {
  frame = Math.max(0, Math.min(index, clip.frames.length - 1));
  element("frame").value = frame;
  element("frame-name").textContent =
    `${clip.frames[frame]} (${frame + 1} of ${clip.frames.length})`;
  const figures = [
    make("figure", {}, [
      picture(clip, frame, clip.ground_truth[frame]),
      make("figcaption", {}, ["ground truth"]),
    ]),
  ];
  for (const { name } of data.methods) {
    figures.push(
      make("figure", {}, [
        picture(clip, frame, clip.masks[name][frame]),
        make("figcaption", {}, [`${name}: ${scoreText(name)}`]),
      ]),
    );
  }
  element("panels").replaceChildren(...figures);
  const x = 30 + (frame * 860) / Math.max(clip.frames.length - 1, 1);
  element("cursor").setAttribute("x1", x);
  element("cursor").setAttribute("x2", x);
}

function showCurves() {
  const metric = element("metric").value;
  const nodes = [];
  for (const value of [0, 0.5, 1]) {
    const y = 190 - 180 * value;
    nodes.push(
      make("line", { x1: 30, x2: 890, y1: y, y2: y, stroke: "currentColor",
        opacity: 0.2 }),
      make("text", { x: 0, y: y + 4 }, [String(value)]),
    );
  }
  const legend = [];
  for (const { name, colour } of data.methods) {
    clip.objects.forEach((object, k) => {
      const scores = clip.scores[name][object];
      const step = 860 / Math.max(clip.frames.length - 1, 1);
      const points = scores.at
        .map((index, n) => `${30 + index * step},${190 - 180 * scores[metric][n]}`)
        .join(" ");
      const style = { stroke: colour, "stroke-width": 2, fill: "none",
        "stroke-dasharray": DASHES[k % DASHES.length] };
      nodes.push(make("polyline", { points, ...style }));
      const sample = make("svg", { width: 34, height: 8 }, [
        make("line", { x1: 0, x2: 34, y1: 4, y2: 4, ...style }),
      ]);
      const mean = scores[metric].reduce((a, b) => a + b, 0) / scores.at.length;
      const text = ` ${name}, object ${object}: mean ${percent(mean)}`;
      if (scores.at.length) {
        legend.push(make("span", {}, [sample, text]));
      }
    });
  }
  nodes.push(make("line", { id: "cursor", y1: 5, y2: 195, stroke: "currentColor" }));
  element("curves").replaceChildren(...nodes);
  element("legend").replaceChildren(...legend);
}

function showClip(name, index = 0) {
  clip = data.clips.find((each) => each.name === name);
  element("clip").value = name;
  element("frame").max = clip.frames.length - 1;
  showCurves();
  showFrame(index);
}

// What the list is ordered by: a method's own J, or its J over the first's.
function showWorst() {
  const [kind, name] = JSON.parse(element("worst-of").value);
  const found = [];
  for (const shown of data.clips) {
    for (const object of shown.objects) {
      const scores = shown.scores[name][object];
      const rows = scores.at.map((index, n) => {
        const own = scores.J[n];
        const other = scoreAt(shown, data.methods[0].name, object, index, "J");
        return { shown, object, index, own, value: kind === "over" ? own - other : own };
      });
      rows.sort((a, b) => a.value - b.value);
      found.push(...rows.slice(0, WORST_PER_OBJECT));
    }
  }
  found.sort((a, b) => a.value - b.value);
  const cards = found.slice(0, WORST).map(({ shown, object, index, own, value }) => {
    const text =
      `${shown.name} ${shown.frames[index]}, object ${object}: J ${percent(own)}` +
      (kind === "over" ? ` (${percent(value)})` : "");
    const card = make("button", { "data-value": value }, [
      make("span", { class: "pair" }, [
        picture(shown, index, shown.ground_truth[index]),
        picture(shown, index, shown.masks[name][index]),
      ]),
      make("figcaption", {}, [text]),
    ]);
    card.addEventListener("click", () => {
      showClip(shown.name, index);
      element("viewer").scrollIntoView({ behavior: "smooth" });
    });
    return card;
  });
  element("worst").replaceChildren(...cards);
}

function cellValue(row, column) {
  const cell = row.cells[column];
  const number = cell.dataset.value;
  return number === undefined ? cell.textContent : Number(number);
}

// Numbers by size, texts by alphabet; cells without a value come last.
function sortTable(table, column) {
  const head = table.tHead.rows[0].cells[column];
  const texts = head.classList.contains("text");
  const usual = texts ? "ascending" : "descending";
  const reverse = { ascending: "descending", descending: "ascending" };
  const before = head.getAttribute("aria-sort");
  const order = before ? reverse[before] : usual;
  for (const cell of table.tHead.rows[0].cells) {
    cell.removeAttribute("aria-sort");
  }
  head.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const rows = [...table.tBodies[0].rows].map((row) => [cellValue(row, column), row]);
  const empty = (value) => !texts && typeof value !== "number";
  rows.sort(([a], [b]) => {
    if (empty(a) || empty(b)) {
      return empty(a) - empty(b);
    }
    const difference = texts
      ? a.localeCompare(b, "en", { numeric: true })
      : a - b;
    return sign * difference;
  });
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

function play() {
  if (timer !== null) {
    clearInterval(timer);
    timer = null;
  } else {
    timer = setInterval(() => showFrame((frame + 1) % clip.frames.length), 100);
  }
  element("play").textContent = timer === null ? "play" : "stop";
}

function start() {
  for (const table of document.querySelectorAll("table")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      head.addEventListener("click", () => sortTable(table, column));
    });
  }
  for (const row of document.querySelectorAll("tr[data-clip]")) {
    row.addEventListener("click", () => {
      showClip(row.dataset.clip);
      element("viewer").scrollIntoView({ behavior: "smooth" });
    });
  }
  element("clip").append(...data.clips.map(({ name }) => new Option(name, name)));
  element("clip").addEventListener("change", (event) => showClip(event.target.value));
  element("frame").addEventListener("input", (event) =>
    showFrame(Number(event.target.value)),
  );
  element("play").addEventListener("click", play);
  element("opacity").addEventListener("input", (event) =>
    document.body.style.setProperty("--opacity", event.target.value),
  );
  element("metric").append(...data.metrics.map((name) => new Option(name, name)));
  element("metric").addEventListener("change", () => {
    showCurves();
    showFrame(frame);
  });
  element("curves").addEventListener("click", (event) => {
    const box = element("curves").getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * 900;
    showFrame(Math.round(((x - 30) / 860) * (clip.frames.length - 1)));
  });
  const first = data.methods[0].name;
  for (const { name } of data.methods) {
    element("worst-of").append(
      new Option(`${name}, lowest J`, JSON.stringify(["own", name])),
    );
  }
  for (const { name } of data.methods.slice(1)) {
    const text = `${name}, furthest below ${first}`;
    element("worst-of").append(new Option(text, JSON.stringify(["over", name])));
  }
  element("worst-of").addEventListener("change", showWorst);
  showClip(data.clips[0].name);
  showWorst();
}

start();
