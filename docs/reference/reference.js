// Swagger UI for the OpenAPI document in the same folder.
'use strict';

/** Adds the prefix `Bearer` that the API requires, because users paste the token without it. */
function withBearer(request) {
  const token = request.headers?.Authorization?.trim();
  if (token) request.headers.Authorization = /^bearer\s/i.test(token) ? token : `Bearer ${token}`;
  return request;
}

/** Inserts the first steps of index.html below the description of the API. */
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
  validatorUrl: null, // no badge: it would send the document to a third-party server
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
