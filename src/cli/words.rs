//! Everything `till` says by itself, in Chinese and English, in one table.
//!
//! What a cashier reads about money comes from the terminal, in the member
//! `cashier`; these are the words around it.

use crate::api::SentenceView as Sentence;

/// A language that `till` speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Lang {
    /// Chinese.
    Zh,
    /// English.
    En,
}

impl Lang {
    /// The language of the locale, by the rules of gettext: `LC_ALL`,
    /// `LC_MESSAGES`, `LANG`, the first that is set; `LANGUAGE` before them
    /// unless that is the C locale. What is not Chinese is English.
    pub(super) fn of_locale(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let locale = set("LC_ALL").or_else(|| set("LC_MESSAGES")).or_else(|| set("LANG"));
        let Some(locale) = locale.filter(|locale| locale != "C" && locale != "POSIX") else {
            return Self::En;
        };
        let named = |name: &str| {
            let language = name.split(['_', '.', '@', '-']).next().unwrap_or_default();
            match language {
                "zh" => Some(Self::Zh),
                "en" | "C" => Some(Self::En),
                _ => None,
            }
        };
        let preferred = set("LANGUAGE");
        preferred
            .iter()
            .flat_map(|names| names.split(':'))
            .find_map(named)
            .or_else(|| named(&locale))
            .unwrap_or(Self::En)
    }

    /// The one of the two sentences.
    pub(super) fn of(self, sentence: &Sentence) -> &str {
        let (wanted, other) = match self {
            Self::Zh => (&sentence.zh, &sentence.en),
            Self::En => (&sentence.en, &sentence.zh),
        };
        if wanted.is_empty() { other } else { wanted }
    }
}

/// A phrase in both languages; `{}` are places to fill, in the same order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phrase {
    pub(super) zh: &'static str,
    pub(super) en: &'static str,
}

impl Phrase {
    pub(super) fn text(self, lang: Lang) -> &'static str {
        match lang {
            Lang::Zh => self.zh,
            Lang::En => self.en,
        }
    }

    /// The phrase with its places filled.
    pub(super) fn fill(self, lang: Lang, values: &[&str]) -> String {
        let mut values = values.iter();
        let mut text = String::new();
        for (n, part) in self.text(lang).split("{}").enumerate() {
            if n > 0 {
                text.push_str(values.next().copied().unwrap_or_default());
            }
            text.push_str(part);
        }
        text
    }

    /// The phrase in both languages, with its places filled.
    pub(super) fn both(self, values: &[&str]) -> Sentence {
        Sentence { zh: self.fill(Lang::Zh, values), en: self.fill(Lang::En, values) }
    }
}

macro_rules! phrases {
    ($($name:ident = $zh:literal, $en:literal;)*) => {
        $(pub(super) const $name: Phrase = Phrase { zh: $zh, en: $en };)*
        #[cfg(test)]
        pub(in crate::cli) const ALL: &[(&str, Phrase)] = &[$((stringify!($name), $name)),*];
    };
}
pub(super) use phrases;

phrases! {
    // While a payment goes on.
    ORDER_IS = "商户单号 {}", "Order {}";
    LIVE_AWAITING_CODE = "请扫付款码 {} 元", "Scan the payment code, {} yuan";
    LIVE_PROCESSING = "正在收款 {} 元", "Charging {} yuan";
    LIVE_AWAITING_BUYER = "等待顾客在手机上确认 {} 元", "Waiting for the customer to confirm {} yuan";
    LIVE_CANCELLING = "正在撤销 {} 元", "Cancelling {} yuan";
    LIVE_OTHER = "请稍候 {} 元", "Please wait, {} yuan";
    SECONDS_LEFT = "剩 {} 秒", "{} s left";
    SECONDS_GONE = "已等 {} 秒", "{} s";
    ATTENTION_IS = "注意：{}", "Attention: {}";
    CODE_VISIBLE =
        "其他用户能在进程列表里看到付款码（{}）；请改用 --code -",
        "Other users can see the payment code in the list of processes ({}); use --code -";
    STDOUT_LOST = "结果写不出来：{}", "The result could not be written: {}";
    TYPE_IT =
        "也可以输入付款码，再按回车（不会显示）",
        "Or type the payment code and press Enter (it is not shown)";
    SENT_AWAY =
        "till 被关闭；收款由终端继续办理",
        "till was told to end; the terminal goes on with the payment";
    CODE_PROMPT = "付款码：", "Payment code: ";
    CANCEL_ASKED =
        "已要求撤销，正在等待结果。再按一次 Ctrl-C 离开",
        "Asked the terminal to cancel; waiting for the outcome. Ctrl-C again leaves";
    CANCEL_WILL_BE_ASKED =
        "终端回答后立即撤销。再按一次 Ctrl-C 离开",
        "It will be cancelled as soon as the terminal answers. Ctrl-C again leaves";

    // While a refund goes on.
    REFUND_IS = "退款单号 {}", "Refund {}";
    LIVE_REFUNDING = "正在退款 {} 元", "Refunding {} yuan";
    LABEL_LEFT = "还可退", "Left";
    REFUND_QUESTION = "退还 {} 元给顾客？输入 y 确认：", "Give {} yuan back to the customer? y goes on: ";
    REFUND_NOT_AGREED = "没有退款", "Nothing was given back";
    REFUND_UNASKED =
        "没有退款：这里没有人可以确认。确实要退就加 --yes",
        "Nothing was given back: there is nobody to ask here. Add --yes if it is meant";
    REFUND_NOTHING_LEFT = "没有可退的钱。{}", "There is nothing left to give back. {}";
    REFUND_NOT_PAID = "没有退款。{}", "Nothing was given back. {}";
    REFUND_AWAY =
        "终端没有响应，正在重试。退款由终端负责到底，不会重复退",
        "The terminal does not answer; trying again. The refund is safe with it and is made only once";
    REFUND_SENT_AWAY =
        "till 被关闭；退款由终端继续办理",
        "till was told to end; the terminal goes on with the refund";
    REFUND_LEFT_IN_DOUBT =
        "结果未定：请勿另外退现金，也不要换单号再退。退款单号 {}；查询结果：till show {}",
        "The outcome is unknown: do not pay it back in cash, and do not refund it under another number. Refund {}; ask with: till show {}";

    // When the outcome stays unknown.
    LEFT_IN_DOUBT =
        "结果未定，请勿重复收款。商户单号 {}；查询结果：till show {}",
        "The outcome is unknown: do not charge again for this sale. Order {}; ask with: till show {}";
    LEFT_WITHOUT_NUMBER =
        "结果未定，请勿重复收款。查询结果：till list，或用同一个 --sale 再执行一次",
        "The outcome is unknown: do not charge again for this sale. Ask with: till list, or repeat with the same --sale";
    AWAY =
        "终端没有响应，正在重试。付款由终端负责到底，不会重复扣款",
        "The terminal does not answer; trying again. The payment is safe with it and cannot be charged twice";
    BACK = "终端已恢复", "The terminal is back";

    // When there is no answer at all.
    ABSENT =
        "连接不上终端 {}：{}",
        "Cannot reach the terminal at {}: {}";
    ABSENT_NOTHING_SENT =
        "没有发出收款请求，没有扣款。连接不上终端 {}：{}",
        "Nothing was sent, nothing was charged. Cannot reach the terminal at {}: {}";
    ABSENT_NOTHING_RETURNED =
        "没有发出退款请求，没有退款。连接不上终端 {}：{}",
        "Nothing was sent, nothing was given back. Cannot reach the terminal at {}: {}";
    NO_SUCH_SOCKET = "没有这个套接字，tilld 没有运行", "there is no such socket; tilld is not running";
    NOBODY_LISTENS = "没有程序在监听，tilld 没有运行", "nobody listens; tilld is not running";
    NO_PERMISSION = "没有权限打开套接字", "you may not open the socket";
    BROKEN = "终端的回答无法理解：{}", "Cannot understand the terminal's answer: {}";
    LOST = "回答之前连接中断：{}", "The connection was lost before the answer: {}";
    NOT_FOUND = "终端没有这笔付款", "The terminal knows no such payment";
    DENIED = "终端拒绝了请求：{}", "The terminal denied the request: {}";
    IN_THE_WAY = "相关商户单号 {}", "It concerns order {}";
    STDIN_UNREADABLE = "无法从标准输入读取付款码：{}", "Cannot read the payment code from standard input: {}";
    NO_RANDOM = "系统没有随机数，无法生成商户单号：{}", "The system has no random numbers to make an order number of: {}";
    NO_RUNTIME = "无法启动：{}", "Cannot start: {}";

    // When the terminal sends no sentence of its own.
    PLAIN_TAKEN = "已收款 {} 元", "Paid {} yuan";
    PLAIN_NONE = "未收款，没有扣款", "Not paid; nothing was charged";
    PLAIN_RETURNED = "已撤销，{} 元已退还给顾客", "Cancelled; {} yuan went back to the customer";
    PLAIN_UNKNOWN = "结果未定，请勿重复收款", "Not settled yet: do not charge again for this sale";

    // States, as people read them.
    STATE_AWAITING_CODE = "等待扫码", "awaiting code";
    STATE_PROCESSING = "处理中", "processing";
    STATE_AWAITING_BUYER = "等待顾客确认", "awaiting buyer";
    STATE_CANCELLING = "撤销中", "cancelling";
    STATE_PAID = "已收款", "paid";
    STATE_DECLINED = "被拒绝", "declined";
    STATE_CANCELLED = "已撤销", "cancelled";
    STATE_PART_BACK = "{}，退 {}", "{}, {} back";
    STATE_ALL_BACK = "已全部退款", "returned";
    STATE_REFUNDING = "退款中", "on its way";
    STATE_REFUNDED = "已退款", "refunded";
    STATE_REFUSED = "退款被拒绝", "refused";

    // Labels of one payment.
    LABEL_ORDER = "商户单号", "Order";
    LABEL_STATE = "状态", "State";
    LABEL_AMOUNT = "金额", "Amount";
    LABEL_RECEIVED = "实收", "Received";
    LABEL_REFUNDED = "已退款", "Refunded";
    LABEL_SUBJECT = "标题", "Subject";
    LABEL_SALE = "销售单", "Sale";
    LABEL_SCANNER = "扫码枪", "Scanner";
    LABEL_TRADE = "支付宝交易号", "Trade at Alipay";
    LABEL_BUYER = "顾客账号", "Buyer";
    LABEL_REASON = "原因", "Reason";
    LABEL_ATTENTION = "注意", "Attention";
    LABEL_CREATED = "开始", "Begun";
    LABEL_UPDATED = "更新", "Changed";
    LABEL_REFUNDS = "退款", "Refunds";
    LABEL_STEPS = "过程", "Steps";

    // Lists.
    NO_PAYMENTS = "没有付款", "No payments";
    MORE_PAYMENTS = "还有更多：--cursor {}", "There are more: --cursor {}";
    NO_SCANNERS = "没有配置扫码枪", "No scanner is configured";
    HEAD_TIME = "时间", "TIME";
    HEAD_ORDER = "商户单号", "ORDER";
    HEAD_AMOUNT = "金额", "AMOUNT";
    HEAD_STATE = "状态", "STATE";
    HEAD_SUBJECT = "标题", "SUBJECT";
    HEAD_SCANNER = "扫码枪", "SCANNER";
    HEAD_KIND = "类型", "KIND";
    HEAD_DEVICE = "设备", "DEVICE";

    // Events.
    EVENT_PAYMENT = "付款", "payment";
    EVENT_REFUND = "退款", "refund";
    EVENT_SCAN = "扫码", "scan";
    EVENT_SCANNER = "扫码枪", "scanner";
    EVENT_GATEWAY = "网关", "gateway";
    WATCHING = "正在等待事件，按 Ctrl-C 结束", "Waiting for events; Ctrl-C ends";
    STREAM_LOST = "与终端的连接中断，正在重连", "The connection to the terminal is lost; connecting again";
    STREAM_BACK = "已重新连接", "Connected again";

    NEWS_PLUGGED = "已连接", "plugged in";
    NEWS_UNPLUGGED = "已断开", "unplugged";
    NEWS_SCAN_LOST = "扫码丢失，请重扫", "a scan was lost, scan again";
    KIND_ALIPAY = "支付宝付款码", "payment code of Alipay";
    KIND_WECHAT = "微信付款码", "payment code of WeChat";
    KIND_UNIONPAY = "云闪付付款码", "payment code of UnionPay";
    KIND_OTHER_WALLET = "其他钱包的付款码", "payment code of another wallet";
    KIND_SCALE_LABEL = "可能是电子秤标签", "perhaps a label of the scales";
    KIND_CODE_USED = "已经用过的付款码", "payment code that was used before";
    KIND_COLLECT_CODE = "收款码", "code to collect with";
    KIND_TORN = "没有扫完整的付款码", "torn payment code";
    KIND_EXTRA = "扫码枪多加了字符的付款码", "payment code with characters that the scanner adds";
    KIND_GOODS = "商品码", "goods";
    KIND_UNREADABLE = "无法识别", "unreadable";
    KIND_TOO_EARLY = "付款开始之前扫的码", "scanned before its payment began";

    // Status.
    LABEL_TERMINAL = "终端", "Terminal";
    LABEL_UPTIME = "已运行", "Running for";
    LABEL_GATEWAY = "网关", "Gateway";
    LABEL_KEYS = "密钥", "Keys";
    LABEL_JOURNAL = "交易流水", "Journal";
    LABEL_OPEN = "未完成付款", "Unfinished payments";
    LABEL_CLOCK = "时钟", "Clock";
    REACHABLE = "可以连接", "reachable";
    UNREACHABLE = "连接不上", "not reachable";
    NOT_TRIED = "尚未连接过", "not tried yet";
    KEYS_PROVEN = "支付宝已验证", "proven by Alipay";
    KEYS_WRONG = "有误", "wrong";
    KEYS_UNPROVEN = "尚未验证", "not proven yet";
    WRITABLE = "正常", "can be written";
    UNWRITABLE = "无法写入", "cannot be written";
    STOPPING = "正在停止", "stopping";
    DRAINING = "等待升级，不接受新的收款", "waits for an upgrade, takes no new payments";
    CLOCK_WRONG = "时间不对，不接受新的收款：{}", "wrong, no payments are taken: {}";
    UNTOLD = "未知", "unknown";
    PRESENT = "已连接", "present";
    MISSING = "未连接", "not there";
    CLOCK_EVEN = "与支付宝一致", "agrees with Alipay's";
    CLOCK_OFF = "与支付宝相差 {} 秒", "{} s away from Alipay's";
    LENGTH = "{} 天 {} 小时 {} 分", "{} d {} h {} min";

    // Doctor: findings, each with what to do.
    FIX = "处理：", "fix: ";
    GOOD = "正常", "good";
    BAD = "故障", "fault";
    NOTE = "提示", "note";
    DOCTOR_CLEAN = "没有发现故障", "No fault found";
    DOCTOR_FAULTS = "发现 {} 处故障", "Faults found: {}";
    SOCKET_GOOD = "套接字 {} 有应答", "The socket {} answers";
    SOCKET_BAD = "连接不上套接字 {}：{}", "Cannot reach the socket {}: {}";
    FIX_START =
        "启动守护进程：systemctl start tilld；查看原因：journalctl -u tilld",
        "start the daemon: systemctl start tilld; see why it stopped: journalctl -u tilld";
    FIX_GROUP =
        "把用户加入套接字所属的组（ls -l {} 查看），然后重新登录",
        "put the user into the socket's group (ls -l {} shows it) and log in again";
    ANSWER_BAD = "应答的不是正常的 tilld：{}", "What answers is no healthy tilld: {}";
    FIX_ANSWER =
        "检查 --socket 指向的程序；查看日志：journalctl -u tilld",
        "check which program owns the socket; see the log: journalctl -u tilld";
    IS_DRAINING =
        "tilld 正在等待升级，不接受新的收款",
        "tilld waits for an upgrade and takes no new payments";
    FIX_DRAINING =
        "让升级完成；没有人重新启动它的话，两分钟后自动恢复收款",
        "let the upgrade finish; if nobody restarts it, payments are taken again within two minutes";
    IS_STOPPING = "tilld 正在停止，不接受新的收款", "tilld is stopping and takes no new payments";
    VERSION_GOOD = "tilld 版本 {}", "tilld version {}";
    VERSION_DIFFERS = "tilld 版本 {}，till 版本 {}", "tilld has version {}, till has {}";
    FIX_VERSION = "升级后重新启动：systemctl restart tilld", "restart it after the upgrade: systemctl restart tilld";
    SCANNER_GOOD = "扫码枪 {} 已连接", "The scanner {} is there";
    SCANNER_BAD = "扫码枪 {} 未连接：{}", "The scanner {} is not there: {}";
    FIX_SCANNER =
        "插好扫码枪；检查 {} 是否存在、tilld 用户能否读取（ls -l {}）",
        "plug it in; see whether {} exists and tilld's user may read it (ls -l {})";
    FIX_SCANNER_KNOWN =
        "插好扫码枪 {}；till scanners 列出插着的设备、能否打开",
        "plug {} in; till scanners lists what is plugged in and who may open it";
    SCANNER_NONE =
        "没有配置扫码枪：付款码必须随请求传入",
        "No scanner is configured: every code has to come with its request";
    FIX_SCANNER_NONE = "需要扫码枪时，在 tilld.toml 里加 [[scanner]]", "if there is one, add [[scanner]] to tilld.toml";
    GATEWAY_GOOD = "支付宝网关可以连接", "Alipay's gateway is reachable";
    GATEWAY_BAD = "支付宝网关连接不上：{}", "Alipay's gateway cannot be reached: {}";
    GATEWAY_UNTOLD = "还没有连接过支付宝网关", "Alipay's gateway was not tried yet";
    FIX_GATEWAY =
        "检查网络、DNS、代理和防火墙；在收银机上试：curl -I https://openapi.alipay.com/gateway.do",
        "check network, DNS, proxy and firewall; try on this box: curl -I https://openapi.alipay.com/gateway.do";
    FIX_GATEWAY_UNTOLD = "几秒后再检查", "look again in a few seconds";
    KEYS_GOOD = "支付宝验证了本机的密钥", "Alipay has proven both keys";
    KEYS_BAD = "密钥有误，不能开始新的收款", "A key is wrong, so no payment is begun";
    KEYS_UNPROVEN_BAD = "密钥尚未验证，不能开始新的收款", "The keys are not proven yet, so no payment is begun";
    KEYS_SILENT = "终端没有报告密钥的状态", "The terminal does not tell how its keys are";
    FIX_KEYS_UNTOLD = "检查网络后再看；终端会自动重试", "see to the network and look again; the terminal goes on asking by itself";
    JOURNAL_GOOD = "交易流水可以写入", "The journal can be written";
    JOURNAL_BAD = "交易流水无法写入，不能开始新的收款：{}", "The journal cannot be written, so no payment is begun: {}";
    FIX_JOURNAL = "检查磁盘空间和权限：df -h {}", "check disk space and rights: df -h {}";
    CLOCK_GOOD = "时钟与支付宝一致", "The clock agrees with Alipay's";
    CLOCK_KEEPS_OUT = "时间不对，不能开始新的收款：{}", "The clock is wrong, so no payment is begun: {}";
    CLOCK_BAD = "时钟与支付宝相差 {} 秒", "The clock is {} s away from Alipay's";
    CLOCK_UNTOLD = "还不知道时钟是否准确：要等支付宝第一次应答", "Whether the clock is right is known after Alipay's first answer";
    FIX_CLOCK = "打开时间同步：timedatectl set-ntp true", "switch time synchronisation on: timedatectl set-ntp true";
    STUCK = "付款 {} 需要处理：{}", "Payment {} needs a person: {}";
    FIX_STUCK = "查看过程：till show --steps {}", "see what happened: till show --steps {}";
    OPEN_GOOD = "没有需要处理的付款", "No payment needs a person";
    OPEN_UNTOLD = "无法读取未完成的付款：{}", "Cannot read the unfinished payments: {}";

    // Doctor: what is seen on the box itself.
    CONFIG_GOOD = "配置 {} 和密钥没有错误", "The configuration {} and the keys are in order";
    CONFIG_BAD = "配置：{}", "Configuration: {}";
    FIX_CONFIG =
        "修改后再检查：tilld check --config {}；然后 systemctl restart tilld",
        "mend it and check again: tilld check --config {}; then systemctl restart tilld";
    CONFIG_UNREADABLE = "无法读取配置 {}：{}", "Cannot read the configuration {}: {}";
    FIX_CONFIG_NONE =
        "写一份配置：docs/operators.md；或用 --config 指定",
        "write one (docs/operators.md), or name it with --config";
    CONFIG_UNCHECKED = "配置 {} 的密钥无法检查", "The keys of the configuration {} cannot be checked";
    FIX_ROOT = "以 root 再执行一次：sudo till doctor", "run it again as root: sudo till doctor";
    NO_TILLD = "找不到程序 tilld", "There is no program tilld";
    FIX_NO_TILLD = "安装 tilld，或把它放在 till 旁边", "install tilld, or put it beside till";
    JOURNAL_NONE = "还没有交易流水 {}", "There is no journal {} yet";
    FIX_JOURNAL_NONE =
        "第一次启动时自动生成；如果以前收过款，先找回原来的文件",
        "the first start makes it; if payments were taken before, find the old file first";
    JOURNAL_UNCHECKED = "交易流水 {} 没有核对", "The journal {} was not verified";
    VERIFY_GOOD = "交易流水完整：{}", "The journal is whole: {}";
    VERIFY_BAD = "交易流水有问题：{}", "The journal is not sound: {}";
    FIX_VERIFY =
        "保留文件，检查磁盘，见 docs/operators.md 的 The journal 一节",
        "keep the file, check the disk, and see \"The journal\" in docs/operators.md";
    DISK = "磁盘剩余 {} MiB（{}）", "{} MiB are free on the disk of {}";
    FIX_DISK = "清理磁盘：df -h {}；不要删除交易流水", "make room: df -h {}; never delete the journal";
    TIME_SYNCED = "时间已同步（{}）", "The clock is synchronised ({})";
    TIME_UNSYNCED = "时间没有同步", "The clock is not synchronised";
    TIME_UNTOLD = "不知道时间是否同步", "Whether the clock is synchronised is not known";
    UNIT_GOOD = "{} 已启用并在运行", "{} is enabled and active";
    UNIT_BAD = "{} 没有运行：{}", "{} is not active: {}";
    FIX_UNIT =
        "查看原因：journalctl -u {}；启动：systemctl enable --now {}",
        "see why: journalctl -u {}; start it: systemctl enable --now {}";
    UNIT_DISABLED = "{} 在运行，但开机时不会启动：{}", "{} is active, but will not start with the box: {}";
    FIX_UNIT_DISABLED = "systemctl enable {}", "systemctl enable {}";
    UNITS_UNTOLD = "这里没有 systemd，服务没有检查", "There is no systemd here, so units were not looked at";
    FIX_UNITS_UNTOLD = "确认 tilld 会随机器启动", "see to it that tilld starts with the box";
    ACCESS_GOOD = "可以收款的用户（组 {}）：{}", "Users who may take payments (group {}): {}";
    ACCESS_NOBODY = "组 {} 没有成员：只有 root 能收款", "The group {} has no members: only root may take payments";
    FIX_ACCESS =
        "加入收银系统的用户：usermod -aG {} 用户名，然后重新登录",
        "add the register's user: usermod -aG {} USER, and log in again";
    ACCESS_ALL = "本机任何用户都能使用套接字 {}", "Any user of this box may use the socket {}";
    FIX_ACCESS_ALL =
        "在 tilld.socket 里写 SocketMode=0660（没有 systemd 时是 api.mode）",
        "write SocketMode=0660 in tilld.socket (without systemd: api.mode)";
    INTRUDER =
        "装有 {}：它会抢占新插入的串口设备",
        "{} is installed: it opens new serial devices for something else";
    FIX_INTRUDER =
        "不需要就卸载 {}；需要就按 70-tilld.rules 末尾的说明为扫码枪加规则",
        "remove {} if nobody needs it, or add a rule for the scanner as 70-tilld.rules says at its end";

    // Scanners that are plugged in.
    SCANNERS_ALONE = "终端没有应答（{}：{}），下面只列出插在本机上的设备", "The terminal does not answer ({}: {}); below is what is plugged in";
    SCANNERS_UNTOLD = "终端没有说明它的扫码枪：{}", "The terminal does not tell of its scanners: {}";
    NO_DEVICES = "本机没有插上可能是扫码枪的设备", "Nothing that could be a scanner is plugged in";
    WAY_SERIAL = "序列号 {}", "serial {}";
    WAY_READ = "就是配置里的 {}，正在读取", "This is {} of the configuration, and is being read";
    WAY_NOT_READ = "就是配置里的 {}，没有在读取", "This is {} of the configuration, and is not being read";
    WAY_OPENS = "当前用户可以打开它", "This user may open it";
    WAY_SHUT = "当前用户不能打开它", "This user may not open it";
    WAY_REFUSED = "不会被使用，除非写明 force = true：{}", "It is not taken unless force = true says so: {}";
    REFUSED_OF_THE_BOX = "这是本机自带的键盘", "it is the box's own keyboard";
    REFUSED_VIRTUAL = "这是由程序模拟的键盘", "it is a keyboard that a program made";
    REFUSED_POINTER = "它还能移动光标，是鼠标或键鼠接收器", "it moves a pointer, so it is a mouse or a receiver of one";
    REFUSED_MANY_NODES = "它的键盘接口比扫码枪多", "it has more nodes with keys than a scanner has";
    REFUSED_ONLY_KEYBOARD = "这是本机唯一的键盘", "it is the only keyboard of this box";
    LEARN_SCAN = "请用扫码枪扫一个码（正在听 {} 个设备，按 Ctrl-C 结束）", "Scan something with the scanner now (listening to {} devices; Ctrl-C ends)";
    LEARN_PLUG_IN = "没有可以听的设备，请插上扫码枪（按 Ctrl-C 结束）", "There is nothing to listen to; plug the scanner in (Ctrl-C ends)";
    LEARN_SOME_SHUT = "有 {} 个设备打不开，请用 root 运行（sudo till scanners learn）：{}", "{} devices cannot be opened; run it as root (sudo till scanners learn): {}";
    LEARN_SHUT = "没有设备可以打开，需要 root 权限或 tilld 组：sudo till scanners learn（{}）", "No device could be opened: it takes root or the group tilld: sudo till scanners learn ({})";
    LEARN_IN_USE = "终端正在使用扫码枪 {}：它扫的码这里听不到", "The terminal is using the scanner {}: what it scans is not heard here";
    LEARN_LOST = "{} 发来的内容读不懂：{}", "What came from {} cannot be read: {}";
    LEARN_NOTHING = "没有听到扫码", "No scan was heard";
    LEARN_GONE = "{} 扫码后就不见了，请插好再试", "{} scanned and went away; plug it in and try again";
    LEARNED = "扫到 {}（{} 个字符），来自 {}，{}", "Scanned {} ({} characters), by {}, {}";
    LEARNED_FORCE = "写明 force = true，因为{}", "It takes force = true, because {}";
    RULE_NEEDED = "写入 /etc/udev/rules.d/71-tilld-local.rules，然后 udevadm control --reload && udevadm trigger", "to /etc/udev/rules.d/71-tilld-local.rules, then udevadm control --reload && udevadm trigger";
    RULE_SHIPPED = "70-tilld.rules 已包含这家厂商，不必另写", "70-tilld.rules knows this maker: not needed beside it";
    RULE_ARMED = "mode = \"armed\" 时把 LIBINPUT_IGNORE_DEVICE 写成 \"0\"", "for mode = \"armed\" write LIBINPUT_IGNORE_DEVICE as \"0\"";

    // Around clap.
    USAGE_HEAD = "用法：", "Usage: ";
    COMMANDS_HEAD = "命令", "Commands";
    OPTIONS_HEAD = "选项", "Options";
    ARGUMENTS_HEAD = "参数", "Arguments";
    HELP_FLAG = "显示帮助", "Print help";
    VERSION_FLAG = "显示版本", "Print version";
    UNKNOWN_ARGUMENT = "不认识的参数：{}", "There is no argument {}";
    MISSING_ARGUMENT = "缺少参数：{}", "Missing: {}";
    UNKNOWN_COMMAND = "没有这个命令：{}", "There is no command {}";
    WRONG_VALUE = "参数 {} 不能是“{}”", "{} cannot be \"{}\"";
    SEE_HELP = "查看用法：till --help", "See: till --help";
}

/// The Chinese help: what is in `args.rs` in English, by subcommand and argument.
pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "支付宝当面付收银终端的命令行"),
    (".socket", "终端的套接字 [环境变量 TILLD_SOCKET] [默认 /run/tilld/tilld.sock]"),
    (".json", "在标准输出上给出一个 JSON 值，供程序使用"),
    (".lang", "语言：zh 或 en [默认按系统语言]"),
    ("pay", "收一笔款，等到结果确定为止"),
    ("pay.amount", "金额，单位元，最多两位小数，例如 12.50"),
    ("pay.subject", "顾客在手机上看到的标题"),
    ("pay.order", "商户单号，1 到 64 位字母、数字、下划线；同一单号再执行一次不会重复扣款"),
    ("pay.sale", "收银系统的销售单号：一笔销售最多收一次款"),
    ("pay.code", "付款码；写 - 则从标准输入读取，不会出现在命令历史里"),
    ("pay.scanner", "由哪一支扫码枪扫码"),
    ("pay.qr", "显示二维码让顾客扫，而不是扫顾客的付款码"),
    ("pay.timeout", "收款时限，秒；到时由终端撤销"),
    ("pay.wait", "最多等多少秒；之后离开，付款由终端继续"),
    ("show", "查看一笔付款"),
    ("show.order", "商户单号，或它的开头；last 是最新的一笔"),
    ("show.steps", "同时列出记录下来的每一步"),
    ("list", "列出付款，新的在前"),
    ("list.state", "只列出这个状态；open 是所有未完成的"),
    ("list.since", "只列出这一天或这个时间之后的，例如 2026-11-20 或 \"2026-11-20 10:00\""),
    ("list.limit", "最多列出多少笔，1 到 500"),
    ("list.cursor", "从上一页结束的地方继续"),
    ("cancel", "撤销一笔付款，等到结果确定为止"),
    ("cancel.order", "商户单号"),
    ("cancel.wait", "最多等多少秒；之后离开，撤销由终端继续"),
    ("refund", "退还一笔付款的钱，等到结果确定为止"),
    ("refund.order", "付款的商户单号"),
    ("refund.amount", "退多少，单位元，例如 5.00"),
    ("refund.all", "退还剩下的全部"),
    ("refund.request", "退款单号，1 到 64 位字母、数字、下划线；同一单号再执行一次不会重复退"),
    ("refund.reason", "退款原因，会传给支付宝"),
    ("refund.yes", "不再询问；没有人可以回答时必须写"),
    ("refund.wait", "最多等多少秒；之后离开，退款由终端继续"),
    ("code", "为等待扫码的付款送入付款码，等到结果确定为止"),
    ("code.order", "商户单号"),
    ("code.code", "付款码；写 - 则从标准输入读取，不会出现在命令历史里"),
    ("code.wait", "最多等多少秒；之后离开，付款由终端继续"),
    ("watch", "持续显示终端上发生的事，每件一行"),
    ("watch.from", "从这个事件编号之后开始；0 是保留的全部"),
    ("status", "终端的状况：扫码枪、网关、交易流水、时钟"),
    ("scanners", "列出扫码枪，以及插在本机上可能是扫码枪的设备"),
    ("scanners.what", "learn：扫一个码，找到是哪个设备，并给出它的配置和 udev 规则"),
    ("scanners.timeout", "learn 等待扫码的时间，秒"),
    ("scanners.sysroot", "查看另一个根目录下的 /sys 和 /dev"),
    ("doctor", "检查终端，对每个故障说明怎样处理"),
    (
        "doctor.config",
        "检查本机和这个配置文件的守护进程 [默认 /etc/tilld/tilld.toml，指定了其他套接字时不检查]",
    ),
    ("demo", "在本机演示整个收款过程，无需安装和配置"),
    ("demo.keep", "保留演示的文件，并说明在哪里"),
    ("sandbox", "模拟的支付宝网关，供开发收银系统使用"),
    ("sandbox.listen", "监听地址；HTTP 与 HTTPS 共用一个端口，只能是本机"),
    ("sandbox.dir", "存放密钥、tilld.toml 和账本的目录；第一次启动时生成"),
    ("sandbox.speed", "把所有时间长度除以这个数"),
    ("sandbox.fence", "对从未见过的单号撤销后，该单号永远不能再付款"),
    ("sandbox.names", "证书中再加一个名称或地址（虚拟机或容器访问本机时所用）"),
];

/// A name of the API as people read it: a state, a scanner's news, a kind of
/// code. One that this program does not know stays as it is.
pub(super) fn name(name: &str, lang: Lang) -> String {
    let phrase = match name {
        "awaiting_code" => STATE_AWAITING_CODE,
        "processing" => STATE_PROCESSING,
        "awaiting_buyer" => STATE_AWAITING_BUYER,
        "cancelling" => STATE_CANCELLING,
        "paid" => STATE_PAID,
        "declined" => STATE_DECLINED,
        "cancelled" => STATE_CANCELLED,
        "plugged" => NEWS_PLUGGED,
        "unplugged" => NEWS_UNPLUGGED,
        "scan_lost" => NEWS_SCAN_LOST,
        "alipay" => KIND_ALIPAY,
        "wechat" => KIND_WECHAT,
        "unionpay" => KIND_UNIONPAY,
        "collect_code" => KIND_COLLECT_CODE,
        "other_wallet" => KIND_OTHER_WALLET,
        "scale_label" => KIND_SCALE_LABEL,
        "code_already_used" => KIND_CODE_USED,
        "torn" => KIND_TORN,
        "extra_characters" => KIND_EXTRA,
        "goods" => KIND_GOODS,
        "unreadable" => KIND_UNREADABLE,
        "too_early" => KIND_TOO_EARLY,
        unknown => return unknown.to_owned(),
    };
    phrase.text(lang).to_owned()
}

/// A refund's state in the API as people read it.
pub(super) fn refund_state(name: &str, lang: Lang) -> String {
    let phrase = match name {
        "processing" => STATE_REFUNDING,
        "refunded" => STATE_REFUNDED,
        "refused" => STATE_REFUSED,
        unknown => return unknown.to_owned(),
    };
    phrase.text(lang).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::demo::words as demo;
    use super::*;

    #[test]
    fn every_phrase_is_whole_in_both_languages() {
        for (name, phrase) in ALL.iter().chain(demo::ALL) {
            assert!(!phrase.zh.is_empty() && !phrase.en.is_empty(), "{name}");
            let places = |text: &str| text.matches("{}").count();
            assert_eq!(places(phrase.zh), places(phrase.en), "{name}");
        }
    }

    #[test]
    fn whatever_a_scanner_reads_has_a_name_in_both_languages() {
        for kind in crate::payment::ScanKind::all().map(crate::payment::ScanKind::name) {
            assert_ne!(name(kind, Lang::Zh), kind);
            assert!(!name(kind, Lang::En).contains('_'), "{kind}");
        }
    }

    #[test]
    fn fills_in_order_and_never_fills_a_value() {
        let phrase = Phrase { zh: "{}与{}", en: "{} and {}." };
        assert_eq!(phrase.fill(Lang::En, &["{}", "b"]), "{} and b.");
        assert_eq!(phrase.fill(Lang::Zh, &["a"]), "a与");
    }

    #[test]
    fn follows_the_locale() {
        for (variables, lang) in [
            (&[][..], Lang::En),
            (&[("LANG", "zh_CN.UTF-8")], Lang::Zh),
            (&[("LANG", "zh_TW")], Lang::Zh),
            (&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "en_US.UTF-8")], Lang::En),
            (&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "")], Lang::Zh),
            (&[("LANG", "en_US.UTF-8"), ("LC_MESSAGES", "zh_CN.UTF-8")], Lang::Zh),
            (&[("LANG", "en_US.UTF-8"), ("LANGUAGE", "zh_CN:en")], Lang::Zh),
            (&[("LANG", "zh_CN.UTF-8"), ("LANGUAGE", "de:en:zh")], Lang::En),
            (&[("LANG", "C"), ("LANGUAGE", "zh_CN")], Lang::En),
            (&[("LANG", "de_DE.UTF-8")], Lang::En),
            (&[("LANG", "zhx_XX")], Lang::En),
        ] {
            let variable = |name: &str| {
                variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(Lang::of_locale(variable), lang, "{variables:?}");
        }
    }
}
