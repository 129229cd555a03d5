//! The chart on a real Kubernetes, whichever `KUBECONFIG` names, by helm, kubectl and curl as its users have them. The images
//! `datalake-api` and `datalake-processor` are on its nodes, or can be pulled; `DATALAKE_TEST_IMAGE_TAG` names another tag than the
//! chart's `appVersion`. Each test has a release and a namespace of its own, so that they may run side by side.

mod failures;
mod first_run;
mod forward;
mod manifests;
mod policy;
mod release;
mod rights;
mod runs;
mod schedule;
mod upgrade;
