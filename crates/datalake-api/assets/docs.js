// A file of its own: the page's policy lets no script in a page run. The address is relative, for proxies that put a path before it; without
// `validatorUrl: null` every page would ask somebody else's server whether the description is valid.
window.ui = SwaggerUIBundle({
  url: "../openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
