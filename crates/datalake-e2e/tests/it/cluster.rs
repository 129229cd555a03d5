//! The chart on the Kubernetes cluster that `KUBECONFIG` names, with helm, kubectl and curl. The images
//! `datalake-api` and `datalake-processor` have to be on its nodes or in a registry; `DATALAKE_TEST_IMAGE_TAG` sets another tag than the
//! chart's `appVersion`. Each test has a separate release and namespace, so that tests can run in parallel.

mod failures;
mod first_run;
mod manifests;
mod permissions;
mod policy;
mod port_forward;
mod release;
mod runs;
mod schedule;
mod upgrade;
