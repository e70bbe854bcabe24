// Keeps the app's frame on the phone, so that it opens without a connection. Pages of a person are never kept.
const CACHE = "sen-app-{{ static(shell[2])[-12:] }}";
const OFFLINE = "/app/offline";
const SHELL = [
  OFFLINE,
{% for path in shell %}
  "{{ static(path) }}",
{% endfor %}
];

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(SHELL)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const drop = (names) => Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name)));
  event.waitUntil(caches.keys().then(drop).then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { pathname, search } = new URL(request.url);
  if (request.method !== "GET") return;
  if (request.mode === "navigate") {
    event.respondWith(fetch(request).catch(() => caches.match(OFFLINE)));
  } else if (SHELL.includes(pathname + search)) {
    event.respondWith(caches.match(request).then((kept) => kept ?? fetch(request)));
  }
});
