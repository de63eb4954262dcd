// The page keeps one element for each request and changes only what is different.
"use strict";

const stations = ["requested", "paused", "expanded", "updated", "resumed"];
const batons = new Map(); // by uid
const items = new Map(); // the list's elements, by uid
const dirty = new Set(); // uids to be drawn in the next frame
const $ = (id) => document.getElementById(id);

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

// setText leaves the page alone where nothing is different.
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function stateOf(baton) {
  if (baton.outcome === "Successful" || baton.phase === "Successful") return "successful";
  if (baton.outcome || ["Failed", "Skipped", "Denied"].includes(baton.phase) || baton.failure) return "failed";
  if (baton.waiting) return "waiting";
  return "running";
}

// place is the last station of the relay that the baton has reached.
function place(baton) {
  const reached = (baton.facts || []).map((fact) => stations.indexOf(fact.fact));
  return Math.max(0, ...reached);
}

function whyOf(baton) {
  if (baton.failure) return `${baton.failure.step}: ${baton.failure.object}: ${baton.failure.reason}: ${baton.failure.message}`;
  if (baton.outcome === "Cancelled") return "cancelled: the request was deleted";
  return baton.waiting || "";
}

// nowOf is how the request stands, in one word.
function nowOf(baton) {
  return baton.outcome || baton.phase || baton.fact || "new";
}

function build(uid) {
  const item = make("li");
  const link = make("a", "baton");
  link.href = "#" + uid;
  const title = make("div");
  title.append(make("div", "name"), make("div", "of"));
  const relay = make("div", "relay");
  for (const name of stations) {
    const station = make("div", "station");
    station.append(make("span", "", name));
    relay.append(station);
  }
  relay.append(make("div", "marker"));
  link.append(title, relay, make("div", "bars"), make("div", "why"));
  item.append(link);
  return item;
}

function drawBars(bars, baton) {
  const components = baton.components || [];
  while (bars.children.length > components.length) bars.lastChild.remove();
  components.forEach((component, i) => {
    let bar = bars.children[i];
    if (!bar) {
      bar = make("span");
      bar.append(make("span"), make("progress"), make("span"));
      bars.append(bar);
    }
    const volumes = component.volumes || [];
    const grown = volumes.filter((volume) => volume.state === "Grown").length;
    setText(bar.children[0], `${component.name} ${component.from || "?"} to ${component.to || "?"} `);
    bar.children[1].max = Math.max(1, volumes.length);
    bar.children[1].value = grown;
    bar.children[1].setAttribute("aria-label", `${component.name}: volumes grown`);
    setText(bar.children[2], ` ${grown}/${volumes.length}`);
  });
}

function draw(uid) {
  const baton = batons.get(uid);
  let item = items.get(uid);
  if (!item) {
    item = build(uid);
    items.set(uid, item);
    insert(item, baton);
  }
  const state = stateOf(baton);
  const link = item.firstChild;
  const shape = { successful: "done", failed: "failed", waiting: "waiting", running: "running" }[state];
  link.className = `baton ${shape} at${place(baton)}`;
  setText(link.querySelector(".name"), `${baton.namespace}/${baton.name}`);
  setText(link.querySelector(".of"), `${baton.database || ""} ${baton.mode || ""} · ${nowOf(baton)}${baton.deleted ? " · deleted" : ""}`);
  const reached = new Set((baton.facts || []).map((fact) => fact.fact));
  link.querySelectorAll(".station").forEach((station, i) => station.classList.toggle("passed", reached.has(stations[i])));
  link.setAttribute("aria-label", `${baton.namespace}/${baton.name}, ${state}, ${baton.fact || "not begun"} ${whyOf(baton)}`);
  drawBars(link.querySelector(".bars"), baton);
  setText(link.querySelector(".why"), whyOf(baton));
}

// insert keeps the list in order, newest first.
function insert(item, baton) {
  item.dataset.created = baton.created;
  const list = $("requests");
  let before = list.firstChild;
  while (before && before.dataset.created > baton.created) before = before.nextSibling;
  list.insertBefore(item, before);
}

function filter() {
  const text = $("text").value.trim().toLowerCase();
  const wanted = $("state").value;
  const count = { running: 0, waiting: 0, successful: 0, failed: 0 };
  let shown = 0;
  for (const [uid, baton] of batons) {
    const state = stateOf(baton);
    count[state]++;
    const hit = (!wanted || wanted === state) && (!text || `${baton.namespace}/${baton.name} ${baton.database}`.toLowerCase().includes(text));
    const item = items.get(uid);
    if (item && item.hidden === hit) item.hidden = !hit;
    if (hit) shown++;
  }
  setText($("summary"), `${shown} of ${batons.size} shown. In all ${count.running} under way, ${count.waiting} waiting, ${count.successful} successful, ${count.failed} failed or cancelled`);
  $("empty").hidden = batons.size > 0;
}

function row(cells) {
  const tr = make("tr");
  for (const cell of cells) tr.append(make("td", "", cell));
  return tr;
}

function drawDetail() {
  const baton = batons.get(location.hash.slice(1));
  $("detail").hidden = !baton;
  for (const id of ["requests", "summary"]) $(id).hidden = Boolean(baton);
  if (!baton) return;
  setText($("detail-title"), `${baton.namespace}/${baton.name}: ${nowOf(baton)}`);
  setText($("detail-why"), whyOf(baton));
  const components = (baton.components || []).length ? baton.components : volumesOf(baton);
  $("volumes").tBodies[0].replaceChildren(...components.flatMap((component) => (component.volumes || []).map((volume) =>
    row([component.name, volume.claim, volume.capacity || "-", component.to || "-", volume.state || "-", volume.message || ""]))));
  let previous = baton.created;
  $("timeline").tBodies[0].replaceChildren(...(baton.facts || []).map((fact) => {
    const took = Math.max(0, (new Date(fact.time) - new Date(previous)) / 1000);
    previous = fact.time;
    return row([new Date(fact.time).toISOString(), fact.fact, `${took.toFixed(3)} s`, fact.by, fact.attempts ? String(fact.attempts) : "-"]);
  }));
}

// volumesOf are the volumes of a request that has not begun, as its plan knows them.
let plan = null;
function volumesOf(baton) {
  if (!plan || plan.namespace !== baton.namespace || plan.name !== baton.name) return [];
  return plan.components.map((component) => ({
    name: component.name, to: component.to,
    volumes: (component.volumes || []).map((volume) => ({ claim: volume.claim, capacity: volume.from })),
  }));
}

async function ask(path) {
  try {
    const response = await fetch(path);
    return { ok: response.ok, text: await response.text() };
  } catch (error) {
    return { ok: false, text: String(error) };
  }
}

// The plan of the request that is looked at: asked for anew when its fact, its
// phase or what it waits for is another one.
let planned = "";
async function drawPlan() {
  const baton = batons.get(location.hash.slice(1));
  const question = baton && baton.seen && !baton.deleted && !baton.outcome ? [baton.uid, baton.fact, baton.phase, baton.waiting].join("|") : "";
  if (question === planned) return;
  planned = question;
  plan = null;
  if (!question) {
    $("plan").hidden = true;
    return;
  }
  const { ok, text } = await ask(`plan/${encodeURIComponent(baton.namespace)}/${encodeURIComponent(baton.name)}`);
  if (question !== planned) return; // somebody has gone on meanwhile
  $("plan").hidden = false;
  const known = ok ? JSON.parse(text) : { verdict: "unknown", restarts: [], components: [], findings: [{ severity: "Unknown", message: text }] };
  plan = known;
  drawDetail();
  setText($("plan-title"), `Plan: ${known.verdict}`);
  $("plan-restarts").hidden = known.components.length === 0;
  setText($("plan-restarts"), known.restarts.length ? `Pods that are restarted, one after the other: ${known.restarts.join(", ")}` : "No pod is restarted.");
  $("plan-findings").replaceChildren(...known.findings.map((finding) =>
    make("li", finding.severity.toLowerCase(), [finding.severity, finding.reason, finding.field, finding.message].filter(Boolean).join(": "))));
}

// A frame draws for so long, in ms, and leaves the rest to the next: the page
// answers its visitor while a thousand requests change.
const budget = 10;

let frame = 0;
function frameNow() {
  frame = 0;
  const end = performance.now() + budget;
  for (const uid of dirty) {
    draw(uid);
    dirty.delete(uid);
    if (performance.now() > end) break;
  }
  filter();
  drawDetail();
  drawPlan();
  if (dirty.size) schedule();
}

function schedule() {
  if (!frame) frame = requestAnimationFrame(frameNow);
}

function connect() {
  const source = new EventSource("batons");
  const say = (text, className) => { setText($("connection"), text); $("connection").className = className; };
  source.onopen = () => say("live", "live");
  source.onerror = () => say("connection lost, trying again", "lost");
  source.addEventListener("batons", (event) => {
    for (const baton of JSON.parse(event.data)) {
      batons.set(baton.uid, baton);
      dirty.add(baton.uid);
    }
    schedule();
  });
}

$("filters").addEventListener("input", schedule);
$("filters").addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", (event) => {
  frameNow();
  const left = items.get(new URL(event.oldURL).hash.slice(1)); // back to where the visitor was
  ($("detail").hidden ? (left ? left.firstChild : $("requests")) : $("detail")).focus();
});
addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    $("text").focus();
  } else if (event.key === "Escape" && !$("detail").hidden) {
    location.hash = "";
  }
});
connect();
schedule();
