// The app on a person's phone: makes and uses the phone's key, reads codes with the camera.
//
// The key is a P-256 key pair of WebCrypto whose private half cannot be exported. It lies in IndexedDB
// under its thumbprint: base64url of the SHA-256 of the public point, as the server computes it.

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" };
const SIGNING = { name: "ECDSA", hash: "SHA-256" };
const LOOK_EVERY = 150;
const status = document.getElementById("app-status");
const texts = status?.dataset ?? {};

function say(text, kind = "") {
  if (!status) return;
  status.textContent = text ?? "";
  status.classList.toggle("sen-status--busy", kind === "busy");
  status.classList.toggle("sen-status--error", kind === "error");
}

function encoded(buffer) {
  const binary = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

const bytes = (text) => new TextEncoder().encode(text);
const answered = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

async function store(mode) {
  const opening = indexedDB.open("sen-id", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("keys");
  return (await answered(opening)).transaction("keys", mode).objectStore("keys");
}

/** The key of one of the account's phones, if this is that phone. */
async function ownKey(thumbprints) {
  for (const thumbprint of thumbprints.split(" ").filter(Boolean)) {
    const key = await answered((await store("readonly")).get(thumbprint));
    if (key) return { thumbprint, key };
  }
  return null;
}

async function enrol(form) {
  const pair = await crypto.subtle.generateKey(ALGORITHM, false, ["sign"]);
  const point = await crypto.subtle.exportKey("raw", pair.publicKey);
  const thumbprint = encoded(await crypto.subtle.digest("SHA-256", point));
  const signature = await crypto.subtle.sign(SIGNING, pair.privateKey, bytes(form.dataset.statement));
  await answered((await store("readwrite")).put(pair.privateKey, thumbprint));
  form.elements.public_key.value = encoded(point);
  form.elements.signature.value = encoded(signature);
}

/** Signs what is asked with the chosen number; false when this phone has no key for it. */
async function approve(form, number) {
  const own = await ownKey(form.dataset.phones);
  if (!own) return false;
  const signature = await crypto.subtle.sign(SIGNING, own.key, bytes(form.dataset.statement + number));
  form.elements.phone.value = own.thumbprint;
  form.elements.signature.value = encoded(signature);
  return true;
}

function onEnrol(form) {
  form.addEventListener("submit", async (event) => {
    if (form.elements.signature.value) return;
    event.preventDefault();
    try {
      await enrol(form);
      form.requestSubmit();
    } catch {
      say(texts.failed, "error");
    }
  });
}

function onRequest(form) {
  form.addEventListener("change", () => say(""));
  form.addEventListener("submit", async (event) => {
    if (event.submitter?.value !== "approve" || form.elements.signature.value) return;
    event.preventDefault();
    const { value: number } = form.elements.number;
    if (!number) {
      say(texts.number, "error");
      form.elements.number[0].focus();
      return;
    }
    if (await approve(form, number).catch(() => false)) form.requestSubmit(event.submitter);
    else say(texts.unknown, "error");
  });
}

/** Returns a function that reads a code from the picture: the browser's own detector, or jsQR. */
async function reader() {
  const formats = (await window.BarcodeDetector?.getSupportedFormats?.().catch(() => [])) ?? [];
  if (formats.includes("qr_code")) {
    const detector = new window.BarcodeDetector({ formats: ["qr_code"] });
    return async (video) => (await detector.detect(video))[0]?.rawValue;
  }
  const canvas = document.createElement("canvas");
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  return async (video) => {
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    brush.drawImage(video, 0, 0);
    const { data, width, height } = brush.getImageData(0, 0, canvas.width, canvas.height);
    return window.jsQR(data, width, height, { inversionAttempts: "dontInvert" })?.data;
  };
}

async function scan(form, video) {
  const ours = window.location.origin + form.dataset.begins;
  const wanted = { video: { facingMode: "environment" }, audio: false };
  video.srcObject = await navigator.mediaDevices.getUserMedia(wanted);
  video.hidden = false;
  await video.play();
  say(texts.looking, "busy");
  const read = await reader();
  for (;;) {
    const found = video.videoWidth ? await read(video) : undefined;
    if (found?.startsWith(ours)) {
      for (const track of video.srcObject.getTracks()) track.stop();
      form.elements.frame.value = found;
      form.requestSubmit();
      return;
    }
    if (found) say(texts.foreign, "error");
    await new Promise((resolve) => window.setTimeout(resolve, LOOK_EVERY));
  }
}

async function greet(home) {
  const here = Boolean(await ownKey(home.dataset.phones));
  document.getElementById("app-here").hidden = !here;
  document.getElementById("app-not-here").hidden = here;
}

function offerInstalling() {
  window.addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    document.getElementById("app-install").hidden = false;
    document.getElementById("app-install-hint").hidden = true;
    document.getElementById("app-install-button").onclick = () => event.prompt();
  });
}

/** A code from an office stands behind the sign #, so that it never travels in an address. */
function takeCode(field) {
  const code = window.location.hash.slice(1);
  if (!/^[A-Z2-7-]{16,19}$/.test(code)) return;
  field.value = code;
  window.history.replaceState(null, "", window.location.pathname);
}

const officeCode = document.querySelector("#code-form input[name=code]");
const enrolment = document.getElementById("enrol-form");
const request = document.getElementById("request-form");
const scanning = document.getElementById("scan-form");
const home = document.getElementById("app-home");
if (officeCode) takeCode(officeCode);
if (enrolment) onEnrol(enrolment);
if (request) onRequest(request);
if (scanning) scan(scanning, document.getElementById("scan-video")).catch(() => say(texts.camera, "error"));
if (home) {
  offerInstalling();
  greet(home).catch(() => {});
}
if (navigator.serviceWorker) {
  // The page's policy lets scripts come by a named policy only; this one knows a single address.
  const only = "/app/worker.js";
  const named = window.trustedTypes?.createPolicy("sen-app", { createScriptURL: () => only });
  navigator.serviceWorker.register(named?.createScriptURL(only) ?? only, { scope: "/app/" }).catch(() => {});
}
