// Takes one picture of a face with the camera, or makes a chosen one small, and sends it.
//
// The form works without this module, with a small picture. Nothing is kept: the picture goes into the
// form's own field and leaves with it.

const SIZE = { width: 480, height: 640 };
const QUALITY = 0.9;
const form = document.getElementById("face-form");
const video = document.getElementById("face-video");
const take = document.getElementById("face-take");
const status = document.getElementById("face-status");

function say(text, kind = "") {
  status.textContent = text ?? "";
  status.classList.toggle("sen-status--busy", kind === "busy");
  status.classList.toggle("sen-status--error", kind === "error");
}

/** The middle of a picture, upright as a portrait, and no larger than a face needs. */
function small(source, width, height) {
  const across = Math.min(width, (height * SIZE.width) / SIZE.height);
  const down = Math.min(height, (width * SIZE.height) / SIZE.width);
  const scale = Math.min(1, SIZE.width / across);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.round(across * scale), Math.round(down * scale)];
  const corner = [(width - across) / 2, (height - down) / 2];
  canvas.getContext("2d").drawImage(source, ...corner, across, down, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
}

function send(blob) {
  const chosen = new DataTransfer();
  chosen.items.add(new File([blob], "face.jpg", { type: "image/jpeg" }));
  form.elements.picture.files = chosen.files;
  form.dataset.ready = "yes";
  say(status.dataset.busy, "busy");
  form.requestSubmit();
}

async function watch() {
  video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user" }, audio: false });
  video.hidden = false;
  await video.play();
  take.hidden = false;
  document.getElementById("face-choice").open = false;
  say(status.dataset.looking);
}

function stop() {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
}

take?.addEventListener("click", async () => {
  take.disabled = true;
  send(await small(video, video.videoWidth, video.videoHeight));
  stop();
});

form?.addEventListener("submit", async (event) => {
  if (form.dataset.ready) return;
  event.preventDefault();
  try {
    const picture = await createImageBitmap(form.elements.picture.files[0]);
    send(await small(picture, picture.width, picture.height));
    stop();
  } catch {
    say(status.dataset.unreadable, "error");
  }
});

if (form) {
  if (navigator.mediaDevices) watch().catch(() => say(status.dataset.camera));
  window.addEventListener("pagehide", stop);
}
