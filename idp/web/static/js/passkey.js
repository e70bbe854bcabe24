// Signing in with a passkey and making one (Web Authentication Level 3).
//
// A button says what to do in its data attributes: data-passkey ("get" or
// "create"), data-options and data-finish (the two addresses of the ceremony),
// data-interaction and data-name-field. The texts stand, translated, on the
// live region #passkey-status. Without WebAuthn the buttons stay hidden.

const status = document.getElementById("passkey-status");
const texts = status?.dataset ?? {};
const token = document.querySelector('meta[name="csrf-token"]')?.content ?? "";
const supported = typeof window.PublicKeyCredential === "function" && Boolean(navigator.credentials);

/** An error whose message is meant for the person; `code` is the server's. */
class Refusal extends Error {
  constructor(message, code = "") {
    super(message);
    this.code = code;
  }
}

function say(text, kind = "") {
  if (!status) return;
  status.textContent = text ?? "";
  status.classList.toggle("sen-status--busy", kind === "busy");
  status.classList.toggle("sen-status--error", kind === "error");
}

function toBytes(text) {
  const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0)).buffer;
}

function toText(buffer) {
  const binary = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

const withBytes = (list) => (list ?? []).map((entry) => ({ ...entry, id: toBytes(entry.id) }));

function requestOptions(json) {
  if (PublicKeyCredential.parseRequestOptionsFromJSON) {
    return PublicKeyCredential.parseRequestOptionsFromJSON(json);
  }
  return { ...json, challenge: toBytes(json.challenge), allowCredentials: withBytes(json.allowCredentials) };
}

function creationOptions(json) {
  if (PublicKeyCredential.parseCreationOptionsFromJSON) {
    return PublicKeyCredential.parseCreationOptionsFromJSON(json);
  }
  return {
    ...json,
    challenge: toBytes(json.challenge),
    user: { ...json.user, id: toBytes(json.user.id) },
    excludeCredentials: withBytes(json.excludeCredentials),
  };
}

function toJson(credential) {
  if (credential.toJSON) return credential.toJSON();
  const { response } = credential;
  const parts = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];
  const encoded = {};
  for (const part of parts) {
    if (response[part]) encoded[part] = toText(response[part]);
  }
  if (response.getTransports) encoded.transports = response.getTransports();
  return {
    id: credential.id,
    rawId: toText(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
    clientExtensionResults: credential.getClientExtensionResults(),
    response: encoded,
  };
}

/** Posts JSON and returns the answer; a refused request becomes a Refusal with its detail. */
async function post(address, body) {
  let response;
  try {
    response = await fetch(address, {
      method: "POST",
      credentials: "same-origin",
      cache: "no-store",
      headers: {
        "content-type": "application/json",
        accept: "application/json, application/problem+json",
        "x-csrf-token": token,
      },
      body: JSON.stringify(body),
    });
  } catch {
    throw new Refusal(texts.network);
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refusal(answer.detail || answer.title || texts.failed, answer.type);
  return answer;
}

/** Follows the answer's address, which must be one of ours. */
function go(location) {
  const address = new URL(location, window.location.href);
  if (address.origin !== window.location.origin) throw new Refusal(texts.failed);
  window.location.assign(address.href);
}

/** What the page was opened for goes along with every call of a ceremony. */
function purposeOf(button) {
  const { interaction, next } = button.dataset;
  return JSON.parse(JSON.stringify({ interaction, next }));
}

/** Hands the credential over and goes on; what the server does not know, the device may forget. */
async function finish(button, credential, more = {}) {
  if (!credential) throw new Refusal(texts.failed);
  const body = { ...purposeOf(button), ...more, credential: toJson(credential) };
  try {
    const { location } = await post(button.dataset.finish, body);
    go(location);
  } catch (error) {
    if (error.code === "passkey-unknown") {
      await PublicKeyCredential.signalUnknownCredential?.({
        rpId: window.location.hostname,
        credentialId: credential.id,
      });
    }
    throw error;
  }
}

async function ceremony(button) {
  const { passkey, options, nameField } = button.dataset;
  const { publicKey } = await post(options, purposeOf(button));
  if (passkey === "create") {
    const name = (nameField && document.getElementById(nameField)?.value.trim()) || "";
    const made = await navigator.credentials.create({ publicKey: creationOptions(publicKey) });
    return finish(button, made, { name });
  }
  const found = await navigator.credentials.get({ publicKey: requestOptions(publicKey) });
  return finish(button, found);
}

// Offering passkeys among what the browser fills in (conditional mediation). The offer stays open
// as long as the page, but a challenge lives five minutes, so it is made anew before it ends.
const OFFER_LIFETIME = 4 * 60 * 1000;
let offer = null;

function withdrawOffer() {
  offer?.abort();
  offer = null;
}

async function offerOnce(button) {
  const own = new AbortController();
  offer = own;
  const { publicKey } = await post(button.dataset.options, purposeOf(button));
  const renewal = window.setTimeout(() => own.abort("renew"), OFFER_LIFETIME);
  try {
    const credential = await navigator.credentials.get({
      publicKey: requestOptions(publicKey),
      mediation: "conditional",
      signal: own.signal,
    });
    say(texts.busy, "busy");
    await finish(button, credential);
  } catch (error) {
    if (own.signal.reason === "renew") return true;
    if (!own.signal.aborted && error instanceof Refusal) say(explain(error), "error");
  } finally {
    window.clearTimeout(renewal);
  }
  return false;
}

async function offerPasskeys(button) {
  if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
  try {
    while (await offerOnce(button)) {
      // Once more, with a fresh challenge.
    }
  } catch {
    // Nobody pressed anything: the button and the form are there all the same.
  }
}

function explain(error) {
  if (error instanceof Refusal && error.message) return error.message;
  if (error?.name === "NotAllowedError" || error?.name === "AbortError") return texts.cancelled;
  if (error?.name === "InvalidStateError") return texts.duplicate;
  return texts.failed;
}

async function press(button) {
  // aria-disabled keeps the focus where it is, which `disabled` would lose.
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  withdrawOffer();
  say(texts.busy, "busy");
  try {
    await ceremony(button);
  } catch (error) {
    say(explain(error), "error");
    button.removeAttribute("aria-disabled");
    button.focus();
  }
}

const buttons = document.querySelectorAll("button[data-passkey]");
for (const button of buttons) {
  if (supported) {
    button.hidden = false;
    button.addEventListener("click", () => press(button));
  } else if (button.dataset.passkey === "create") {
    say(texts.unsupported);
  }
}
if (supported && buttons.length) {
  for (const element of document.querySelectorAll("[data-with-passkey]")) element.hidden = false;
}
// On the page of her own passkeys: devices may forget those that were removed here.
const known = document.getElementById("passkeys-known");
if (supported && known) {
  PublicKeyCredential.signalAllAcceptedCredentials?.({
    rpId: window.location.hostname,
    userId: known.dataset.user,
    allAcceptedCredentialIds: known.dataset.credentials.split(" ").filter(Boolean),
  })?.catch(() => {});
}
if (supported && document.querySelector("input[autocomplete~=webauthn]")) {
  const button = document.querySelector("button[data-passkey=get]");
  if (button) offerPasskeys(button);
}
// A page brought back from the browser's history must not stay busy.
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const button of buttons) button.removeAttribute("aria-disabled");
  say("");
});
