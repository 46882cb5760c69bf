// Swagger UI over the contract that lies beside this page.
'use strict';

/** The API wants `Bearer` before the token; a person pastes the token as it was printed. */
function withBearer(request) {
  const token = request.headers?.Authorization?.trim();
  if (token) request.headers.Authorization = /^bearer\s/i.test(token) ? token : `Bearer ${token}`;
  return request;
}

/** Puts the first steps, which index.html holds, below the contract's description. */
function firstSteps() {
  const html = { __html: document.getElementById('start').innerHTML };
  const below = (Original, { React }) => (props) =>
    React.createElement(React.Fragment, null,
      React.createElement(Original, props),
      React.createElement('section', {
        className: 'start wrapper', 'aria-label': 'First steps', dangerouslySetInnerHTML: html,
      }));
  return { wrapComponents: { InfoContainer: below } };
}

window.ui = SwaggerUIBundle({
  url: 'openapi.json',
  dom_id: '#reference',
  presets: [SwaggerUIBundle.presets.apis],
  plugins: [firstSteps],
  layout: 'BaseLayout',
  validatorUrl: null, // no badge: it would send the contract to a server of somebody else's
  deepLinking: true,
  displayOperationId: true,
  displayRequestDuration: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: 0,
  filter: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  requestInterceptor: withBearer,
});
