// The live page. Two loops: one asks for the newest picture as soon as the last is drawn, one for figures every second.
// Pause and opacity are this page's own; the run knows nothing of them.

import {Curve, element} from "./curves.js";

const SAMPLES_KEPT = 300;
const byId = (id) => document.getElementById(id);
const canvas = byId("picture");
const context = canvas.getContext("2d");
const probe = Object.assign(document.createElement("canvas"), {width: 1, height: 1})
  .getContext("2d", {willReadFrequently: true});
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const page = {
  about: null,
  paused: false,
  opacity: 0.5,
  drawn: null, // {head, image, classes}
  after: 0, // number of the newest picture
  samples: [],
  run: null, // which one the server is of
  curves: new Map(),
  tiles: new Map(),
  shares: new Map(),
};

// The token stays out of the address bar and of the history; the cookie has taken its place.
if (location.search.includes("token=")) history.replaceState(null, "", location.pathname);

function setState(state, text) {
  const shown = byId("state");
  if (shown.dataset.state === state && shown.textContent === text) return;
  shown.dataset.state = state;
  shown.textContent = text;
}

async function ask(path) {
  const answer = await fetch(path, {cache: "no-store"});
  if (answer.status === 401) location.reload(); // shows the form
  return answer;
}

// Pictures

async function followPictures() {
  for (let pause = 500; ; ) {
    if (page.paused || document.hidden) {
      await sleep(200);
      continue;
    }
    try {
      const answer = await ask(`frame?after=${page.after}`);
      if (answer.status === 200) {
        const number = Number(answer.headers.get("Picture"));
        const drawn = await unpacked(await answer.arrayBuffer());
        page.after = number;
        if (!page.paused) show(drawn);
        pause = 500;
      } else if (answer.status === 410) {
        setState("ended", "the run has ended");
        await sleep(2000);
      } else if (answer.status !== 204) {
        await sleep(1000);
      }
    } catch {
      if (byId("state").dataset.state !== "ended") setState("lost", "no connection");
      await sleep(pause);
      pause = Math.min(5000, 2 * pause);
    }
  }
}

// As runtime/serve/picture.py packs it: length of the head, head, JPEG of the frame, PNG of the classes
async function unpacked(buffer) {
  const length = new DataView(buffer).getUint32(0);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const start = 4 + length;
  const part = (from, to, type) => createImageBitmap(new Blob([buffer.slice(from, to)], {type}));
  const [image, classes] = await Promise.all([
    part(start, start + head.jpeg, "image/jpeg"),
    part(start + head.jpeg, buffer.byteLength, "image/png"),
  ]);
  return {head, image, classes};
}

function show(drawn) {
  if (page.drawn) {
    page.drawn.image.close();
    page.drawn.classes.close();
  }
  page.drawn = drawn;
  byId("waiting").hidden = true;
  const {head} = drawn;
  byId("frame").textContent = `${head.name}, ${head.width}x${head.height}, ${head.latency_ms.toFixed(0)} ms old when sent`;
  redraw();
}

function redraw() {
  if (!page.drawn) return;
  const {head, image, classes} = page.drawn;
  if (canvas.width !== image.width || canvas.height !== image.height) {
    canvas.width = image.width;
    canvas.height = image.height;
  }
  const [x, y, width, height] = head.seen;
  context.globalAlpha = 1;
  context.drawImage(image, 0, 0);
  context.globalAlpha = page.opacity;
  context.drawImage(classes, x * image.width, y * image.height, width * image.width, height * image.height);
}

// The class under the pointer, read from the class map itself
function classAt(event) {
  if (!page.drawn || !page.about) return "";
  const {head, classes} = page.drawn;
  const box = canvas.getBoundingClientRect();
  const scale = Math.min(box.width / canvas.width, box.height / canvas.height); // object-fit: contain
  const [x, y, width, height] = head.seen;
  const across = (event.clientX - box.left - (box.width - scale * canvas.width) / 2) / (scale * canvas.width);
  const down = (event.clientY - box.top - (box.height - scale * canvas.height) / 2) / (scale * canvas.height);
  const [u, v] = [(across - x) / width, (down - y) / height];
  if (!(u >= 0 && u < 1 && v >= 0 && v < 1)) return "";
  probe.drawImage(classes, -Math.floor(u * classes.width), -Math.floor(v * classes.height));
  const color = [...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  const found = page.about.classes.filter((each) => each.color.every((value, index) => value === color[index]));
  return found.map((each) => each.name).join(" or ");
}

function point(event) {
  const name = event.type === "pointerleave" ? "" : classAt(event);
  const shown = byId("pointed");
  shown.hidden = !name;
  if (!name) return;
  const box = canvas.getBoundingClientRect();
  shown.textContent = name;
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  shown.style.left = `${Math.min(x + 14, box.width - shown.offsetWidth - 4)}px`;
  shown.style.top = `${Math.max(4, y - 32)}px`;
}

// Figures

async function followFigures() {
  for (;;) {
    try {
      if (!page.about) await introduce();
      const next = page.samples.length ? page.samples.at(-1).number + 1 : 0;
      const answer = await ask(`live?from=${next}`);
      if (answer.status === 200) tell(await answer.json());
    } catch {
      if (byId("state").dataset.state !== "ended") setState("lost", "no connection");
    }
    await sleep(1000);
  }
}

async function introduce() {
  const answer = await ask("about");
  if (!answer.ok) return;
  const about = await answer.json();
  page.about = about;
  byId("model").textContent = about.model;
  byId("source").textContent = `${about.file}, ${about.input} from ${about.source}`;
  document.title = `${about.model} - ccc-run`;
  setOpacity(about.opacity);
  const legend = byId("legend");
  legend.replaceChildren();
  for (const each of about.classes) {
    const item = element(legend, "li", "absent");
    element(item, "span", "swatch").style.backgroundColor = `rgb(${each.color.join(" ")})`;
    element(item, "span").textContent = each.name;
    const share = element(item, "span", "share");
    const bar = element(element(item, "span", "bar"), "i");
    page.shares.set(each.name, {item, share, bar});
  }
}

function tell(live) {
  if (live.run !== page.run) { // the first answer, or another run in the place of the one before
    const isFirst = page.run === null;
    page.run = live.run;
    if (!isFirst) {
      Object.assign(page, {about: null, samples: [], after: 0});
      return;
    }
  }
  page.samples = page.samples.concat(live.samples).slice(-SAMPLES_KEPT);
  if (live.silence_s === null) setState("starting", "waiting for the first frame");
  else if (live.silence_s > 5) setState("silent", `no frame for ${live.silence_s.toFixed(0)} s`);
  else if (page.paused) setState("paused", "paused here, the run goes on");
  else setState("live", "live");
  for (const [name, {item, share, bar}] of page.shares) {
    const value = live.shares[name] ?? 0;
    item.classList.toggle("absent", value < 0.0005);
    share.textContent = value < 0.0005 ? "" : `${(100 * value).toFixed(1)} %`;
    bar.style.transform = `scaleX(${value})`;
  }
  const last = page.samples.at(-1);
  if (!last) return;
  tile("FPS", last.fps.toFixed(1));
  tile("Latency p50", known(last.p50_ms), "ms");
  tile("Latency p99", known(last.p99_ms), "ms");
  tile("Frames", live.frames.toLocaleString("en"));
  tile("Dropped", live.dropped.toLocaleString("en"));
  curve("FPS", "", [{name: "FPS", of: (sample) => sample.fps}]);
  curve("Latency", "ms", [
    {name: "p50", of: (sample) => sample.p50_ms},
    {name: "p99", of: (sample) => sample.p99_ms},
  ]);
  if (page.about?.live) curve("Dropped", "frames a second", [{name: "dropped", of: (sample) => sample.dropped}], 0);
  tellSensors(last);
  tellStages(Object.entries(last.stages_ms));
}

// A board has twenty sensors: all are listed, and power, the hottest of them and two loads have a curve
function tellSensors(last) {
  const sensors = Object.entries(last.telemetry);
  const named = (...units) => sensors.filter(([, [, unit]]) => units.includes(unit)).map(([name]) => name);
  const of = (name) => (sample) => sample.telemetry[name]?.[0] ?? null;
  const [watts, warm, loads] = [named("W"), named("C", "\u00b0C"), named("%").slice(0, 2)];
  if (watts.length) {
    const power = of(watts.includes("power") ? "power" : watts[0]);
    tile("Power", power(last).toFixed(1), "W");
    curve("Power", "W", [{name: "power", of: power}]);
  }
  if (warm.length) {
    const hottest = (sample) => {
      const found = warm.map((name) => of(name)(sample)).filter((value) => value !== null);
      return found.length ? Math.max(...found) : null;
    };
    tile("Hottest", hottest(last).toFixed(1), "\u00b0C");
    curve("Hottest sensor", "\u00b0C", [{name: "hottest", of: hottest}]);
  }
  if (loads.length) curve("Load", "%", loads.map((name) => ({name, of: of(name)})), 0);
  byId("sensors-title").hidden = !sensors.length;
  tellList("sensors", sensors.map(([name, [value, unit]]) => [name, `${value.toFixed(1)} ${unitText(unit)}`]));
}

const known = (value) => (value === null ? "-" : value.toFixed(1));
const unitText = (unit) => (unit === "C" ? "\u00b0C" : unit);

function tile(name, value, unit = "") {
  if (!page.tiles.has(name)) {
    const group = element(byId("tiles"), "div");
    element(group, "dt").textContent = name;
    const shown = element(group, "dd");
    const number = element(shown, "span");
    if (unit) element(shown, "small").textContent = ` ${unit}`;
    page.tiles.set(name, number);
  }
  page.tiles.get(name).textContent = value;
}

function curve(title, unit, lines, digits = 1) {
  if (!page.curves.has(title)) page.curves.set(title, new Curve(byId("curves"), title, unit, lines, digits));
  page.curves.get(title).draw(page.samples);
}

function tellStages(stages) {
  const longest = Math.max(0.001, ...stages.map(([, ms]) => ms));
  tellList("stages", stages.map(([name, ms]) => [name, `${ms.toFixed(1)} ms`, ms / longest]));
}

// Rows of [name, text] or [name, text, length of its bar from 0 to 1]
function tellList(id, rows) {
  const list = byId(id);
  while (list.children.length > rows.length) list.lastChild.remove();
  while (list.children.length < rows.length) {
    const item = element(list, "li");
    element(item, "span");
    element(item, "span", "share");
    if (rows[0].length > 2) element(element(item, "span", "bar"), "i");
  }
  rows.forEach(([name, text, length], index) => {
    const [label, value, bar] = list.children[index].children;
    label.textContent = name;
    value.textContent = text;
    if (bar) bar.firstChild.style.transform = `scaleX(${length})`;
  });
}

// Controls

function setPaused(paused) {
  page.paused = paused;
  const button = byId("pause");
  button.setAttribute("aria-pressed", String(paused));
  button.textContent = paused ? "Resume" : "Pause";
  if (paused) setState("paused", "paused here, the run goes on");
}

function setOpacity(opacity) {
  page.opacity = opacity;
  byId("opacity").value = Math.round(100 * opacity);
  byId("opacity-value").textContent = `${Math.round(100 * opacity)} %`;
  redraw();
}

byId("pause").addEventListener("click", () => setPaused(!page.paused));
byId("opacity").addEventListener("input", (event) => setOpacity(event.target.value / 100));
canvas.addEventListener("pointermove", point);
canvas.addEventListener("pointerdown", point);
canvas.addEventListener("pointerleave", point);
document.addEventListener("keydown", (event) => {
  if (event.key === "p" && !event.ctrlKey && !event.altKey && !event.metaKey) setPaused(!page.paused);
});

followFigures();
followPictures();
