// The yardstick: oidc-provider with a small sign-in and consent, set up like Sen ID in the benchmark:
// ES256, opaque access tokens, rotating refresh tokens, claims at UserInfo, consent remembered.
//
//   node server.mjs PORT SEED_FILE
//
// SEED_FILE is the same file that `sen seed` reads.

import { createHash, generateKeyPairSync, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

import Provider from 'oidc-provider';

import { UnboundedMemory } from './memory.mjs';

const [port, seedFile] = process.argv.slice(2);
const seed = JSON.parse(readFileSync(seedFile, 'utf8'));
const people = new Map(seed.people.map((person) => [person.login, person]));

const signingKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const HOUR = 3600;
const DAY = 24 * HOUR;

const provider = new Provider(`http://localhost:${port}`, {
  adapter: UnboundedMemory,
  jwks: { keys: [{ ...signingKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: 'es256' }] },
  clients: seed.relying_parties.map((party) => ({
    client_id: party.client_id,
    client_name: party.client_name,
    client_secret: party.client_secret,
    redirect_uris: party.redirect_uris,
    post_logout_redirect_uris: party.post_logout_redirect_uris,
    token_endpoint_auth_method: party.token_endpoint_auth_method,
    id_token_signed_response_alg: party.id_token_signed_response_alg,
    scope: party.scope,
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
  })),
  scopes: ['openid', 'offline_access', 'name', 'birth', 'contact'],
  claims: {
    openid: ['sub'],
    name: ['name'],
    birth: ['birthdate', 'gender'],
    contact: ['email', 'email_verified'],
  },
  findAccount(ctx, login) {
    const person = people.get(login);
    return person && {
      accountId: login,
      claims: () => ({
        sub: login,
        name: person.name,
        birthdate: person.birthdate,
        gender: person.gender,
        email: person.email,
        email_verified: true,
      }),
    };
  },
  cookies: { keys: [randomBytes(32).toString('base64url')] },
  features: {
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    revocation: { enabled: true },
  },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  ttl: {
    AccessToken: HOUR,
    AuthorizationCode: 60,
    IdToken: HOUR,
    Interaction: HOUR,
    Grant: DAY,
    RefreshToken: DAY,
    Session: DAY,
  },
});

const escape = (text) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const page = (body) => `<!doctype html><html lang="en"><title>Peer</title><main>${body}</main></html>`;

function loginPage(uid) {
  return page(`<form method="post" action="/interaction/${uid}">
<label>Identifier <input name="login"></label>
<label>Password <input name="password" type="password"></label>
<button>Sign in</button></form>`);
}

function consentPage(uid, client, scopes) {
  return page(`<p>${escape(client)} asks for: ${escape(scopes.join(', '))}</p>
<form method="post" action="/interaction/${uid}">
<button name="decision" value="allow">Allow</button>
<button name="decision" value="deny">Deny</button></form>`);
}

async function form(request) {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk;
    if (text.length > 10_000) throw new Error('form too large');
  }
  return new URLSearchParams(text);
}

const digest = (text) => createHash('sha256').update(text ?? '').digest();

async function grantFor({ session, params, prompt, grantId }) {
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  if (prompt.details.missingOIDCScope) grant.addOIDCScope(prompt.details.missingOIDCScope.join(' '));
  if (prompt.details.missingOIDCClaims) grant.addOIDCClaims(prompt.details.missingOIDCClaims);
  return grant.save();
}

async function answer(request, fields, interaction) {
  if (interaction.prompt.name === 'login') {
    const person = people.get(fields.get('login'));
    if (!person || !timingSafeEqual(digest(fields.get('password')), digest(person.password))) return undefined;
    return { login: { accountId: person.login } };
  }
  if (fields.get('decision') !== 'allow') return { error: 'access_denied' };
  return { consent: { grantId: await grantFor(interaction) } };
}

async function interact(request, response) {
  const interaction = await provider.interactionDetails(request, response);
  const { uid, prompt, params } = interaction;
  if (request.method === 'POST') {
    const result = await answer(request, await form(request), interaction);
    if (result) {
      await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
      return;
    }
  }
  response.setHeader('content-type', 'text/html; charset=utf-8');
  response.end(prompt.name === 'login'
    ? loginPage(uid)
    : consentPage(uid, params.client_id, params.scope.split(' ')));
}

const protocol = provider.callback();

createServer((request, response) => {
  if (!request.url.startsWith('/interaction/')) {
    protocol(request, response);
    return;
  }
  interact(request, response).catch((error) => {
    process.stderr.write(`${error.stack}\n`);
    response.statusCode = 400;
    response.end();
  });
}).listen(Number(port), '127.0.0.1');
