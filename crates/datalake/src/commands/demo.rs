//! `datalake demo`

use std::path::PathBuf;

use datalake_store::lake_url::LakeUrl;

use super::{init, serve, up};
use crate::{
    args::{AddressingStyle, DemoArgs, LakeArgs, RunPolicyArgs, S3Args},
    lake_label::lake_label,
    signals,
};

/// Creates a lake with the samples in ./demo-lake, and continues like `up`.
pub(crate) async fn demo(args: DemoArgs, log: Option<&str>) -> anyhow::Result<u8> {
    let lake_args = LakeArgs {
        lake: LakeUrl::Folder(PathBuf::from("demo-lake")),
        s3: S3Args {
            endpoint: None,
            region: None,
            addressing: AddressingStyle::default(),
        },
    };
    let admission = serve::admission(&args.access, &args.clients)?;
    let shutdown = signals::cancelled_by_signals()?;
    let listeners = serve::listen(&args.listen, &args.clients).await?;
    super::create(&lake_args).await?;
    let lake = super::open(&lake_args).await?;
    let uploaded = init::upload_samples(lake.bucket.as_ref(), &|_| {}).await?;
    match uploaded.written {
        0 => tracing::info!("kept the sources in ./demo-lake/src-data"),
        written => tracing::info!(written, "uploaded sample sources to ./demo-lake/src-data"),
    }

    let port = listeners.api.local_addr()?.port();
    let bearer = args.access.token_file.as_ref().map(|file| {
        let file = file.display();
        format!("-H \"Authorization: Bearer $(cat '{file}')\" ")
    });
    let bearer = bearer.as_deref().unwrap_or_default();
    let reader = if args.access.protect_reads { bearer } else { "" };
    let text = format!(
        "\n  100 sample users: http://localhost:{port}/\n\n  \
         curl {reader}'http://localhost:{port}/data?min_age'\n  \
         curl {reader}'http://localhost:{port}/stats'\n  \
         curl {bearer}-X POST http://localhost:{port}/data\n\n  \
         Edit a file in ./demo-lake/src-data and send the POST request again to see the change. Press Ctrl-C to stop.\n\n"
    );
    super::print(text.as_bytes())?;
    let launcher = serve::process_launcher(&lake_args, &RunPolicyArgs::default(), log)?;
    up::serve_and_run(
        listeners,
        lake,
        lake_label(&lake_args, &args.page),
        launcher,
        admission,
        &args.schedule.schedule,
        shutdown,
    )
    .await
}
