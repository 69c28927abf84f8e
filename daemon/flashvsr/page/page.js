"use strict";
(() => {
  const root = document.documentElement, body = document.body;
  const wanted = (navigator.languages && navigator.languages[0]) || navigator.language || "en";
  root.lang = /^zh\b/i.test(wanted) ? "zh" : "en";
  root.classList.add("one");

  const written = Number(body.dataset.written), due = Number(body.dataset.due), grace = Number(body.dataset.grace);
  const now = () => Date.now() / 1000;

  // In the reader's own time and way of writing it.
  const today = new Date().toDateString();
  for (const element of document.querySelectorAll("time[data-at]")) {
    const at = new Date(Number(element.dataset.at) * 1000);
    const day = at.toDateString() === today ? {} : { month: "short", day: "numeric" };
    const seconds = "seconds" in element.dataset ? { second: "2-digit" } : {};
    element.textContent = at.toLocaleString(wanted, { hour: "2-digit", minute: "2-digit", ...seconds, ...day });
  }
  for (const element of document.querySelectorAll("[data-server-time]")) element.hidden = true;

  // This machine's clock may be wrong. If the page has changed since the last look, its time is about now.
  let wrong = 0;
  try {
    const seen = JSON.parse(sessionStorage.getItem("flashvsr") || "{}");
    wrong = seen.wrong || 0;
    if (seen.written && seen.written !== written) wrong = now() - written;
    sessionStorage.setItem("flashvsr", JSON.stringify({ written, wrong }));
  } catch { /* a browser that keeps nothing: then the clock is believed */ }

  const pill = document.getElementById("pill"), alarm = document.getElementById("alarm");
  const sign = document.getElementById("sign");
  for (const element of document.querySelectorAll("[data-without-script]")) element.hidden = true;
  const look = () => {
    const down = "due" in body.dataset && now() - wrong > due + grace;
    alarm.hidden = !down;
    sign.hidden = down;
    for (const element of pill.querySelectorAll("[data-of]")) element.hidden = (element.dataset.of === "down") !== down;
    body.classList.toggle("down", down);
    if (down) body.classList.remove("working");
  };
  look();
  setInterval(look, 2000);

  // Read it again, but not away from under somebody who reads the details.
  setInterval(() => { if (!document.querySelector("details[open]")) location.reload(); }, 15000);
})();
