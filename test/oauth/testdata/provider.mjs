// An authorization server that others wrote (oidc-provider), with refresh tokens
// that rotate and families that end when an old one is used. Arguments: the
// port, the app's id, its secret, its redirect URI.
import * as oidc from 'oidc-provider';

const [port, id, secret, redirect] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const provider = new oidc.Provider(issuer, {
  clients: [{
    client_id: id, client_secret: secret, redirect_uris: [redirect], grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'client_secret_post', scope: 'openid offline_access',
  }],
  features: { revocation: { enabled: true }, devInteractions: { enabled: true } },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: async () => true,
  ttl: { AccessToken: 300, RefreshToken: 86400, Grant: 86400, Interaction: 600, Session: 600, IdToken: 600, AuthorizationCode: 60 },
});
let refreshes = 0, revoked = 0;
provider.on('grant.success', (ctx) => { if (ctx.oidc.params.grant_type === 'refresh_token') refreshes += 1; });
provider.on('grant.revoked', () => { revoked += 1; });
const handle = provider.callback();
const { createServer } = await import('node:http');
createServer((request, response) => {
  if (request.url === '/_counts') {
    response.end(JSON.stringify({ refreshes, revoked }));
    return;
  }
  handle(request, response);
}).listen(Number(port), '127.0.0.1', () => console.log('ready'));
