//! `till sandbox`.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Options, Running, Sandbox, SandboxError, endings};

/// Run a simulated Alipay gateway, for people who develop a register program.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = help())]
pub struct Args {
    /// Where to listen; HTTP and HTTPS on one port, loopback only
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:4180")]
    pub listen: SocketAddr,
    /// Where to keep keys, tilld.toml and the ledger; made at the first start
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Divide all lengths of time by this
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    pub speed: f64,
    /// A cancel of a number that was never seen blocks the number for ever
    #[arg(long)]
    pub fence: bool,
    /// One more name or address in the certificate, as a virtual machine or a container calls this machine
    #[arg(long = "name", value_name = "NAME")]
    pub names: Vec<String>,
}

/// Runs the sandbox until SIGINT or SIGTERM.
///
/// # Errors
///
/// A [`SandboxError`] that says what to do about it.
pub async fn run(args: Args) -> Result<(), SandboxError> {
    let Args { listen, dir, speed, fence, names } = args;
    // Requests are logged to stderr, unless the program has said otherwise.
    let _ = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_max_level(tracing::Level::INFO)
        .with_target(false)
        .try_init();
    let running = Sandbox::start(Options { listen, dir, speed, fence, names }).await?;
    let mut out = io::stdout().lock();
    write!(out, "{}", greeting(&running, chinese()))
        .and_then(|()| out.flush())
        .map_err(SandboxError::Print)?;
    drop(out);
    wait_for_signal().await;
    running.stop().await;
    Ok(())
}

async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        // Then the signals end the process by themselves.
        _ => std::future::pending().await,
    }
}

/// What a person should know and do next.
fn greeting(running: &Running, chinese: bool) -> String {
    let (addr, gateway) = (running.addr(), running.gateway());
    let dir = running.folder().dir().display();
    let config = running.folder().config();
    let config = config.display();
    let socket = running.folder().socket();
    let socket = socket.display();
    let (table, refunds) = (endings::table(chinese), endings::refund_table(chinese));
    // Linux gives the path of a socket 108 bytes.
    let long = if running.folder().socket().as_os_str().len() > 107 {
        if chinese {
            "\n注意：这个目录的路径太长，放不下套接字；请换一个短一些的 --dir。\n"
        } else {
            "\nMind: the path of this folder is too long for a socket; choose a shorter --dir.\n"
        }
    } else {
        ""
    };
    if chinese {
        format!(
            "模拟支付宝网关已启动：{gateway}（同一端口也支持 http）\n\
             密钥、证书、账本都在 {dir}\n{long}\n\
             下一步：\n\
             \x20 1. 启动终端    tilld --config {config}\n\
             \x20 2. 收一笔款    till --socket {socket} pay 12.50 --subject 咖啡 --code 2800000000000001\n\
             \x20    付款码可用任意 25–30 开头的 16–24 位数字，每个只能用一次\n\
             \x20 3. 看账本      curl http://{addr}/sandbox/ledger\n\n\
             金额 77.NN 或以 2877NN 开头的付款码选择第 NN 种结局，其余的直接付款成功：\n\n{table}\n\
             退款金额 66.NN 或以 66.NN 开头的退款原因选择退款的第 NN 种结局：\n\n{refunds}"
        )
    } else {
        format!(
            "Simulated Alipay gateway: {gateway} (http works on the same port)\n\
             Keys, certificates and the ledger are in {dir}\n{long}\n\
             What to do next:\n\
             \x20 1. start a terminal   tilld --config {config}\n\
             \x20 2. take a payment     till --socket {socket} pay 12.50 --subject coffee --code 2800000000000001\n\
             \x20    a code is any 16 to 24 digits that start with 25 to 30, and works once\n\
             \x20 3. see the ledger     curl http://{addr}/sandbox/ledger\n\n\
             An amount of 77.NN, or a code that starts with 2877NN, picks ending NN; everything else is\n\
             simply paid:\n\n{table}\n\
             A refund of 66.NN, or one whose reason starts with 66.NN, picks ending NN of refunds:\n\n{refunds}"
        )
    }
}

fn help() -> String {
    let chinese = chinese();
    let (title, refunds) = if chinese {
        (
            "金额 77.NN 或以 2877NN 开头的付款码选择结局：",
            "退款金额 66.NN 或以 66.NN 开头的退款原因选择退款的结局：",
        )
    } else {
        (
            "Endings, picked by an amount of 77.NN or a code that starts with 2877NN:",
            "Endings of refunds, picked by 66.NN as the amount or at the start of the reason:",
        )
    };
    let (table, refund_table) = (endings::table(chinese), endings::refund_table(chinese));
    format!("{title}\n\n{table}\n{refunds}\n\n{refund_table}")
}

/// Whether the person reads Chinese, by the usual variables in the usual order.
fn chinese() -> bool {
    ["LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
        .is_some_and(|value| value.starts_with("zh"))
}
