// The studio's page: shows frames and masks, sends gestures, follows the work.
"use strict";

const osmnStudio = (() => {
  const TOOLS = { brush: "B", eraser: "E", polygon: "P", box: "X", scribble: "S", click: "C" };
  const LOST = "the studio does not answer; start osmn studio again, nothing painted is lost.";
  const MOST_PICTURES = 60;
  // DAVIS' palette, in which object 1 is dark red.
  const colour = (id) => {
    const part = [0, 0, 0];
    for (let bit = 7, rest = id; rest && bit >= 0; bit--, rest >>= 3)
      for (let c = 0; c < 3; c++) part[c] |= ((rest >> c) & 1) << bit;
    return `rgb(${part})`;
  };
  const element = (name) => document.getElementById(name);
  // A page keeps its name when it is loaded again; a duplicate of it, which the
  // browser gives a copy of the storage, finds none.
  const page = sessionStorage.osmnPage || Math.random().toString(36).slice(2);
  delete sessionStorage.osmnPage;
  const pictures = new Map(); // by address
  let state = { name: null }, frame = 0, id = 1, tool = "brush";
  let points = [], drawing = false, playing = null, following = false;
  let message = "", lost = false, sending = Promise.resolve(), polls = 0;
  let strokes = []; // sent, but in no mask that is shown yet
  let mask = null; // of the frame that is shown: { frame, image }
  let shown = "";

  async function ask(path, options = {}) {
    let answer;
    try {
      const headers = { "X-Page": page, ...options.headers };
      answer = await (await fetch(`/studio/${path}`, { ...options, headers })).json();
      lost = false;
    } catch {
      answer = {};
      lost = true;
    }
    if (options.method) message = answer.error || "";
    if ("writer" in answer) state = answer;
    update();
    return answer;
  }

  // One after the other, in the order of the gestures.
  function post(name, given = {}) {
    if (name === "propagate") following = true;
    const body = JSON.stringify(given), headers = { "Content-Type": "application/json" };
    const answer = sending.then(() => ask(name, { method: "POST", body, headers }));
    sending = answer;
    answer.then(poll);
    return answer;
  }

  async function poll() {
    const mine = ++polls;
    await ask("state");
    const busy = state.job?.running || state.network === "loading";
    const wait = state.live ? 150 : busy ? 300 : 2500;
    setTimeout(() => mine === polls && poll(), wait);
  }

  function picture(address) {
    let image = pictures.get(address);
    if (!image) {
      image = new Image();
      image.onload = draw;
      image.onerror = () => unreadable(address);
      image.src = address;
    }
    pictures.delete(address);
    pictures.set(address, image);
    if (pictures.size > MOST_PICTURES) pictures.delete(pictures.keys().next().value);
    return image;
  }

  async function unreadable(address) {
    pictures.delete(address);
    if (address.includes(state.key)) message = (await ask(address.replace("/studio/", ""))).error || "";
    update();
  }

  const ready = (image) => image.complete && image.naturalWidth > 0;
  const frameAddress = (k) => `/studio/frame/${state.key}/${k}.jpg`;
  const maskAddress = () => `/studio/mask/${state.key}/${frame}.png?v=${state.version}`;

  function draw() {
    const canvas = element("canvas"), pen = canvas.getContext("2d");
    if (!state.name) return;
    const below = picture(frameAddress(frame)), above = picture(maskAddress());
    if (ready(above)) {
      mask = { frame, image: above };
      strokes = strokes.filter((each) => !(each.version <= state.version));
      if (ready(below)) shown = `${frame} ${state.version}`;
    }
    // Until both are there, the last picture stays.
    if (!ready(below) || mask?.frame !== frame) return;
    pen.drawImage(below, 0, 0, canvas.width, canvas.height);
    // Masks that are older than what was painted before them are faint.
    const valid = frame < state.done || state.painted.includes(frame);
    pen.globalAlpha = valid ? 0.55 : 0.2;
    pen.imageSmoothingEnabled = false;
    pen.drawImage(mask.image, 0, 0, canvas.width, canvas.height);
    pen.globalAlpha = 1;
    const scale = canvas.width / state.size[1];
    for (const each of strokes) if (each.frame === frame) drawGesture(pen, scale, each);
    if (points.length) drawGesture(pen, scale, { tool, id, points, radius: radius() });
  }

  function drawGesture(pen, scale, given) {
    const at = given.points.map(([x, y]) => [(x + 0.5) * scale, (y + 0.5) * scale]);
    const thin = ["polygon", "box", "click"].includes(given.tool);
    pen.save();
    pen.strokeStyle = given.tool === "eraser" ? "white" : colour(given.id);
    pen.lineCap = pen.lineJoin = "round";
    pen.lineWidth = thin ? 2 : Math.max(1, 2 * given.radius * scale);
    pen.globalAlpha = thin ? 1 : 0.6;
    pen.beginPath();
    if (given.tool === "box") {
      const [[a, b], [c, d]] = [at[0], at.at(-1)];
      pen.rect(a, b, c - a, d - b);
    } else {
      pen.moveTo(...at[0]);
      for (const point of at) pen.lineTo(...point);
    }
    pen.stroke();
    pen.restore();
  }

  // The slider's pixels are those of a picture that is 960 wide or high.
  const radius = () => Number(element("radius").value) * Math.max(...state.size) / 960;

  function place(event) {
    const box = element("canvas").getBoundingClientRect();
    const [height, width] = state.size;
    return [
      ((event.clientX - box.left) / box.width) * width - 0.5,
      ((event.clientY - box.top) / box.height) * height - 0.5,
    ];
  }

  function finish() {
    const stroke = { frame, tool, id, points, radius: radius() };
    drawing = false;
    points = [];
    if (!stroke.points.length) return;
    strokes.push(stroke);
    post("tool", stroke).then((answer) => {
      if (!("version" in answer) || answer.error) strokes = strokes.filter((each) => each !== stroke);
      stroke.version = answer.version;
      draw();
    });
  }

  function pressed(event) {
    if (event.button || !state.name) return;
    element("canvas").focus({ preventScroll: true });
    pause();
    following = false;
    if (tool === "polygon") points.push(place(event));
    else {
      drawing = true;
      points = [place(event)];
      event.target.setPointerCapture(event.pointerId);
    }
    draw();
  }

  function moved(event) {
    if (!drawing || tool === "click") return;
    points.push(place(event));
    draw();
  }

  function show(k) {
    if (!state.name) return;
    frame = Math.max(0, Math.min(state.frames - 1, k));
    points = [];
    element("frame").value = frame;
    element("number").textContent = `${frame} of ${state.frames - 1}`;
    draw();
    if (frame + 1 < state.frames) picture(frameAddress(frame + 1));
  }

  function move(step) {
    pause();
    following = false;
    show(frame + step);
  }

  function pause() {
    clearInterval(playing);
    playing = null;
    element("play").textContent = "\u25b6";
  }

  function play() {
    if (playing) return pause();
    following = false;
    element("play").textContent = "\u23f8";
    playing = setInterval(() => {
      if (frame + 1 >= state.frames) return pause();
      if (ready(picture(frameAddress(frame + 1)))) show(frame + 1);
    }, 60);
  }

  function choose(kind, value) {
    if (kind === "tool" && value === "click" && state.click) {
      message = `${state.click}; until then use the box.`;
      return update();
    }
    if (kind === "tool") tool = value;
    else id = Math.max(1, Math.min(254, Math.round(Number(value)) || 1));
    points = [];
    element("id").value = id;
    for (const each of element("tools").children)
      each.setAttribute("aria-checked", each.dataset.value === tool);
    for (const each of element("ids").children)
      each.setAttribute("aria-checked", Number(each.dataset.value) === id);
    draw();
  }

  function update() {
    const job = state.job, said = (lost && LOST) || message || job?.error || "";
    element("message").hidden = !said;
    element("message").textContent = said;
    element("second").hidden = state.writer !== false;
    element("open").hidden = state.writer === false;
    const click = element("tools").querySelector("[data-value=click]");
    click.setAttribute("aria-disabled", Boolean(state.click));
    click.title = state.click || "key C";
    const able = Boolean(state.name && state.writer);
    for (const name of ["drop", "clear", "finetune", "propagate", "export"])
      element(name).disabled = !able || (job?.running && name !== "drop" && name !== "clear");
    element("undo").disabled = !able || !state.can_undo;
    element("redo").disabled = !able || !state.can_redo;
    element("stop").disabled = !able || !job?.running;
    element("forget").hidden = !state.tuned?.length;
    element("forget").disabled = !able || job?.running;
    element("live").hidden = !state.live;
    if (!state.name) {
      element("text").textContent = state.live ? "" : "Open a video to begin.";
      if (state.live) watch(state.live);
      return;
    }
    begun(job);
    element("name").textContent = state.name;
    progress(job);
    marks();
    list("notes", [...state.notes, ...state.warnings], (text) => made("div", { textContent: text }));
    list("exports", state.exports, (name) => made("a", {
      textContent: name, href: `/studio/export/${encodeURIComponent(name)}`, download: name,
    }));
    if (following && job?.running && job.kind === "propagate" && state.done) show(state.done - 1);
    else draw();
  }

  // Makes room for a clip that was not shown yet.
  function begun(job) {
    const canvas = element("canvas"), [height, width] = state.preview;
    if (canvas.dataset.key === state.key) return;
    [canvas.width, canvas.height, canvas.dataset.key] = [width, height, state.key];
    canvas.style.aspectRatio = `${width} / ${height}`;
    canvas.style.width = `min(100%, ${(62 * width) / height}vh)`;
    element("frame").max = state.frames - 1;
    following = Boolean(job?.running);
    mask = null;
    show(state.painted.at(-1) ?? 0);
  }

  // Shows a camera or a stream, or its frozen frame.
  function watch(live) {
    const image = new Image(), canvas = element("canvas");
    image.onload = () => {
      if (state.name) return;
      [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
      canvas.style.width = `min(100%, ${(62 * image.naturalWidth) / image.naturalHeight}vh)`;
      canvas.getContext("2d").drawImage(image, 0, 0);
      shown = `live ${live.frozen}`;
    };
    image.src = `/studio/live.jpg?${Date.now()}`;
    element("freeze").disabled = !state.writer || live.frozen;
    element("stop_watching").disabled = !state.writer || !live.frozen;
    let text = live.frozen ? `frozen; ${live.count} frames are kept` : "freeze the first frame to paint on";
    if (live.ended) text += live.error ? `; ${live.error}` : "; the stream has ended";
    element("kept").textContent = text;
  }

  const duration = (seconds) =>
    seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;

  function progress(job) {
    const words = { propagate: "propagating", finetune: "fine-tuning", export: "exporting" };
    let text = `${state.done} of ${state.frames} frames have masks.`;
    if (state.tuned.length) text += ` Tuned: ${state.tuned.join(", ")}.`;
    if (job?.running) {
      text = `${words[job.kind]}, ${job.at} of ${job.of}`;
      if (job.seconds_left !== null) text += `, ${duration(job.seconds_left)} left`;
    } else if (state.network === "loading") text += " The network is loading.";
    else if (state.network) text += ` The network cannot be loaded: ${state.network}`;
    if (job?.text && (job.running || job.kind === "finetune")) text += ` (${job.text})`;
    element("text").textContent = text;
    const bar = element("progress");
    [bar.max, bar.value] = job?.running ? [job.of || 1, job.at] : [state.frames, state.done];
  }

  function marks() {
    const canvas = element("marks"), pen = canvas.getContext("2d");
    const wide = canvas.width / state.frames;
    pen.clearRect(0, 0, canvas.width, 6);
    pen.fillStyle = "#3a9d5d";
    pen.fillRect(0, 0, state.done * wide, 6);
    pen.fillStyle = "#e08000";
    for (const each of state.painted) pen.fillRect(each * wide, 0, Math.max(3, wide), 6);
  }

  const made = (kind, values) => Object.assign(document.createElement(kind), values);

  function list(name, values, make) {
    const box = element(name), key = JSON.stringify(values);
    if (box.dataset.key === key) return;
    box.dataset.key = key;
    box.replaceChildren(...values.map(make));
  }

  function key(event) {
    const target = event.target;
    const typing = target.matches?.("textarea, input[type=text], input[type=number]");
    if (typing || event.altKey || !state.name) return;
    const control = event.ctrlKey || event.metaKey, name = event.key.toLowerCase();
    const step = event.shiftKey ? 10 : 1;
    if (control && name === "z") undo(event.shiftKey ? "redo" : "undo");
    else if (control && name === "y") undo("redo");
    else if (control) return;
    else if (event.key === "ArrowLeft") move(-step);
    else if (event.key === "ArrowRight") move(step);
    else if (event.key === " ") {
      if (target.matches?.("button, summary, [type=checkbox]")) return;
      play();
    }
    else if (/^[1-9]$/.test(name)) choose("id", name);
    else if (name === "[" || name === "]") element("radius").value -= name === "[" ? 3 : -3;
    else if (name === "enter" && tool === "polygon" && points.length > 2) finish();
    else if (name === "escape") { points = []; drawing = false; draw(); }
    else {
      const found = Object.keys(TOOLS).find((each) => TOOLS[each].toLowerCase() === name);
      if (!found) return;
      choose("tool", found);
    }
    event.preventDefault();
  }

  // Shows the frame whose edit is taken back.
  async function undo(name) {
    const answer = await post(name);
    if (answer.changed !== undefined && answer.changed !== null) move(answer.changed - frame);
  }

  async function upload(file) {
    if (!file) return;
    element("text").textContent = `reading ${file.name} ...`;
    await ask(`upload/${encodeURIComponent(file.name)}`, { method: "PUT", body: file });
    element("file").value = "";
    poll();
  }

  function choices(name, kind, values, more) {
    element(name).replaceChildren(...values.map((value) => {
      const button = made("button", { textContent: value, onclick: () => choose(kind, value) });
      button.dataset.value = value;
      button.setAttribute("role", "radio");
      more(button, value);
      return button;
    }));
  }

  async function kinds() {
    const answer = await fetch("/studio/kinds");
    const found = await answer.json();
    element("kinds").replaceChildren(...found.map(([name, what, chosen]) => {
      const label = made("label", {});
      const box = made("input", { type: "checkbox", value: name, checked: chosen });
      label.append(box, ` ${name}: ${what}`);
      return label;
    }));
  }

  function listen() {
    const canvas = element("canvas");
    canvas.addEventListener("pointerdown", pressed);
    canvas.addEventListener("pointermove", moved);
    canvas.addEventListener("pointerup", () => drawing && finish());
    canvas.addEventListener("pointercancel", () => { drawing = false; points = []; draw(); });
    canvas.addEventListener("dblclick", () => tool === "polygon" && points.length > 2 && finish());
    element("frame").oninput = (event) => { pause(); following = false; show(Number(event.target.value)); };
    element("id").onchange = (event) => choose("id", event.target.value);
    element("file").onchange = (event) => upload(event.target.files[0]);
    element("play").onclick = play;
    element("drop").onclick = () => post("tool", { frame, tool: "drop", id });
    element("clear").onclick = () => post("tool", { frame, tool: "clear" });
    element("forget").onclick = () => post("forget_tuning");
    element("export").onclick = () => {
      const chosen = [...element("kinds").querySelectorAll("input:checked")];
      post("export", { kinds: chosen.map((each) => each.value) });
    };
    for (const name of ["undo", "redo"]) element(name).onclick = () => undo(name);
    for (const name of ["take", "propagate", "stop", "finetune", "freeze", "stop_watching"])
      element(name).onclick = () => post(name);
    // Keys belong to the canvas again after a click with the mouse.
    document.addEventListener("click", (event) => {
      if (event.detail && event.target.matches("button")) canvas.focus({ preventScroll: true });
    });
    document.addEventListener("keydown", key, true);
    addEventListener("pagehide", () => {
      sessionStorage.osmnPage = page;
      navigator.sendBeacon(`/studio/leave?page=${page}`);
    });
    addEventListener("pageshow", () => delete sessionStorage.osmnPage);
  }

  choices("tools", "tool", Object.keys(TOOLS), (button, name) => { button.title = `key ${TOOLS[name]}`; });
  choices("ids", "id", [1, 2, 3, 4, 5, 6, 7, 8, 9], (button, value) => {
    Object.assign(button.style, { background: colour(value), color: "white" });
  });
  listen();
  choose("tool", "brush");
  kinds();
  poll();
  // What tests and scripts read.
  return { post, show, get state() { return state; }, get shown() { return shown; } };
})();
window.osmnStudio = osmnStudio;
