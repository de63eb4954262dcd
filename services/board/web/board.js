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
  setText(link.querySelector(".of"), `${baton.database || ""} ${baton.mode || ""} · ${baton.outcome || baton.phase || "new"}${baton.deleted ? " · deleted" : ""}`);
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
  setText($("summary"), `${shown} shown: ${count.running} under way, ${count.waiting} waiting, ${count.successful} successful, ${count.failed} failed or cancelled`);
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
  setText($("detail-title"), `${baton.namespace}/${baton.name}: ${baton.outcome || baton.phase || "new"}`);
  setText($("detail-why"), whyOf(baton));
  $("volumes").tBodies[0].replaceChildren(...(baton.components || []).flatMap((component) => (component.volumes || []).map((volume) =>
    row([component.name, volume.claim, volume.capacity || "-", component.to || "-", volume.state || "-", volume.message || ""]))));
  let previous = baton.created;
  $("timeline").tBodies[0].replaceChildren(...(baton.facts || []).map((fact) => {
    const took = Math.max(0, (new Date(fact.time) - new Date(previous)) / 1000);
    previous = fact.time;
    return row([new Date(fact.time).toISOString(), fact.fact, `${took.toFixed(3)} s`, fact.by, fact.attempts ? String(fact.attempts) : "-"]);
  }));
}

let frame = 0;
function frameNow() {
  frame = 0;
  for (const uid of dirty) draw(uid);
  dirty.clear();
  filter();
  drawDetail();
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
addEventListener("hashchange", () => {
  frameNow();
  ($("detail").hidden ? $("requests") : $("detail")).focus();
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
