// A separate file, because the page's Content-Security-Policy forbids inline scripts. The URL is relative, for proxies that add a path prefix.
// `validatorUrl: null` prevents requests to a public validator. The schemas are part of each operation, so their list is hidden.
window.ui = SwaggerUIBundle({
  url: "../openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  defaultModelsExpandDepth: -1,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
