// Keeps the code moving while it waits for a phone, and goes on when the phone has decided.
//
// Frames come by server-sent events where the server has room for them, else by asking once a second.
// Without this module the page loads itself anew every three seconds.

const place = document.getElementById("qr");
const path = document.getElementById("qr-path");
const EVERY = 1000;
let over = false;

function take(news) {
  if (over) return;
  const { state, disturbed } = place.dataset;
  if (news.state !== state || String(news.disturbed) !== disturbed) {
    over = true;
    window.location.reload();
  } else if (news.path && path) {
    path.setAttribute("d", news.path);
  }
}

async function ask() {
  if (over) return;
  let wait = EVERY;
  try {
    const answer = await fetch(place.dataset.status, { credentials: "same-origin", cache: "no-store" });
    if (answer.ok) take(await answer.json());
    // Told to wait, pages come back at different moments.
    else if (answer.status === 429) wait = (1 + Math.random() / 2) * EVERY * (Number(answer.headers.get("retry-after")) || 2);
    else if (answer.status < 500) window.location.reload();
  } catch {
    wait = 3 * EVERY;
  }
  window.setTimeout(ask, wait);
}

function listen() {
  const source = new EventSource(place.dataset.events);
  source.addEventListener("message", (event) => take(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    // No room for a stream, or it was open long enough.
    source.close();
    window.setTimeout(ask, EVERY);
  });
}

if (place && ["waiting", "claimed"].includes(place.dataset.state)) listen();
document.getElementById("qr-redeem")?.requestSubmit();
