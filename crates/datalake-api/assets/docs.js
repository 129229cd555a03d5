// A separate file, because the page's Content-Security-Policy forbids inline scripts. The URL is relative, for proxies that add a path prefix.
// `validatorUrl: null` prevents requests to a public validator.
window.ui = SwaggerUIBundle({
  url: "../openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
