// Every page works without this module; it only makes some things more
// comfortable. The classes tell the style sheet that scripts run here.
import { initAll } from "../vendor/govuk-frontend-6.6.0/govuk-frontend.min.js";

document.body.classList.add("js-enabled");
if ("noModule" in HTMLScriptElement.prototype) {
  document.body.classList.add("govuk-frontend-supported");
}
initAll();

// Leaving at once: nothing stays on the screen while the session ends, and the way back leads nowhere.
const leave = document.querySelector("form[data-leave-to]");
leave?.addEventListener("submit", (event) => {
  event.preventDefault();
  document.body.hidden = true;
  document.title = "";
  const go = () => window.location.replace(leave.dataset.leaveTo);
  const body = new URLSearchParams(new FormData(leave));
  fetch(leave.action, { method: "POST", body, keepalive: true }).then(go, go);
  // A slow line keeps nobody here; the session ends all the same.
  setTimeout(go, 1000);
});
