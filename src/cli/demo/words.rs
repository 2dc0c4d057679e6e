//! What the demo says, in Chinese and English.

use crate::cli::words::{Phrase, phrases};

phrases! {
    // The head.
    HEAD =
        "tilld 演示：在这台机器上跑一遍完整的收款，不涉及真实的钱",
        "tilld at work: a whole payment terminal on this machine, and nobody's money";
    HEAD_GATEWAY = "网关    模拟的支付宝，{}", "gateway   a simulated Alipay, {}";
    HEAD_TERMINAL = "终端    真正的守护进程 tilld，进程号 {}", "terminal  the real daemon tilld, process {}";
    HEAD_SCANNER = "扫码枪  虚拟串口 {}", "scanner   a virtual serial port, {}";
    HEAD_FOLDER = "目录    {}", "folder    {}";
    HEAD_TIMES =
        "为了演示，时间缩短了：每秒查询一次（平时 5 秒），4 秒收款时限（平时 60 秒）。全程不到一分钟。",
        "Times are shortened: a query every second (usually 5), 4 seconds to pay (usually 60). It takes less than a minute.";

    // Who.
    WHO_REGISTER = "收银系统", "register";
    WHO_CASHIER = "收银员", "cashier";
    WHO_SCANNER = "扫码枪", "scanner";
    WHO_BUYER = "顾客", "buyer";
    WHO_NETWORK = "网络", "network";
    WHO_TERMINAL = "终端", "terminal";
    WHO_GATEWAY = "支付宝", "Alipay";

    // What they do.
    ASKS = "请求收款 {} 元：{}", "asks for {} yuan: {}";
    ASKS_WITH_CODE = "请求收款 {} 元：{}，销售单 {}，付款码已扫好", "asks for {} yuan: {}, sale {}, with the code it has scanned";
    ASKS_AGAIN = "连接断了，把同一个请求再发一次", "loses its connection, and sends the same request again";
    ASKS_ANEW = "以新的商户单号为同一销售单再收一次款", "tries the same sale again under a new number";
    IS_TOLD = "得到答复 HTTP {}：{}", "is told HTTP {}: {}";
    SAME_PAYMENT = "还是原来那一笔，没有再次扣款", "it is the payment that is there; nothing is charged again";
    ASKS_FOR_STOP = "不等了，按下“取消”", "does not want to wait, and presses “cancel”";
    CANNOT_REACH = "连接不上终端；结果未定，不能再收一次", "cannot reach the terminal: nobody knows, so nobody charges again";
    SCANS = "扫到付款码 {}", "reads the code {}";
    SCANS_OTHER = "顾客出示了微信付款码，扫到 {}", "reads {}: the buyer has opened WeChat";
    CONFIRMS = "在手机上输入密码，确认付款", "confirms on the phone";
    SEES_PAID = "手机显示：已付款 {} 元", "reads on the phone: {} yuan paid";
    IS_KILLED = "进程 {} 被 SIGKILL 杀死，此时它正在等支付的应答", "process {} is killed by SIGKILL while it waits for the answer";
    IS_BACK = "重新启动，进程号 {}，从交易流水里找出未完成的付款", "starts again as process {}, and looks for open payments in its journal";

    REFUNDS = "请求退款 {} 元，退款单号 {}", "asks to give {} yuan back, as refund {}";
    REFUNDS_AGAIN = "没有等到结果，把同一个退款请求再发一次", "has no result yet, and sends the same refund again";
    CANNOT_REACH_FOR_REFUND = "连接不上终端；结果未定，不能退现金，也不能另开一笔退款", "cannot reach the terminal: nobody knows, so nobody pays it back in cash or under another number";

    // The terminal.
    AWAITS_CODE = "记下订单，等待顾客的付款码", "writes the order down, and waits for the buyer's code";
    SENDS_PAY = "先记入交易流水，再发出支付请求", "writes to its journal, then sends the pay";
    AWAITS_BUYER = "顾客需要确认，每秒查询一次", "the buyer has to confirm: asks every second";
    CLOSES_BEHIND =
        "被拒绝（{}），先确认没有遗留的交易，再给出结果",
        "declined ({}): makes sure that nothing is left open before it says so";
    GIVES_UP = "决定撤销，从此这笔钱不会被收取", "decides to cancel: from here on the money will not be kept";
    IS_PAID = "✔ 已收款", "✔ PAID";
    IS_DECLINED = "✘ 未收款，没有扣款", "✘ DECLINED, nothing was charged";
    IS_CANCELLED = "✘ 已撤销，没有扣款", "✘ CANCELLED, nothing was charged";
    IS_RETURNED = "✘ 已撤销，钱已退还", "✘ CANCELLED, the money went back";
    SENDS_REFUND = "先记入交易流水，再发出退款请求：{} 元", "writes to its journal, then sends the refund of {}";
    IS_REFUNDED = "✔ 已退款 {} 元", "✔ REFUNDED, {} yuan went back";
    IS_REFUSED = "✘ 退款 {} 元被拒绝", "✘ REFUSED to refund {} yuan";
    SILENCE = "没有等到应答：可能扣了款，也可能没有，去查询", "no answer: it may have been charged or not, so it will ask";
    SCAN = "{} 是{}，不理会，继续等待", "{} is a {}: leaves it alone and waits on";

    // The gateway.
    PAY_CHARGED = "收到支付请求：扣款 {} 元", "gets the pay: charges {}";
    PAY_WAITS = "收到支付请求：需要顾客在手机上确认", "gets the pay: the buyer has to confirm on the phone";
    PAY_REFUSED = "收到支付请求：拒绝，{}", "gets the pay: refuses it, {}";
    PAY_STUCK = "支付请求卡在路上，没有到达支付宝", "the pay gets stuck on its way";
    PAY_LATE = "迟到的支付请求现在才到：扣款 {} 元", "the pay that was stuck arrives only now: charges {}";
    QUERY_PAID = "收到查询：已付款 {} 元", "is asked: paid, {}";
    QUERY_WAITS = "收到查询：顾客还没有付款", "is asked: not paid yet";
    QUERY_CLOSED = "收到查询：交易已关闭", "is asked: closed";
    QUERY_RETURNED = "收到查询：钱已退还", "is asked: the money was given back";
    QUERY_NEVER_SEEN = "收到查询：没有这笔交易", "is asked: never seen this number";
    CANCEL_CLOSES = "收到撤销：交易关闭，顾客不能再付款", "gets the cancel: closes the trade, nobody can pay it any more";
    CANCEL_RETURNS = "收到撤销：{} 元退还顾客", "gets the cancel: gives {} back to the buyer";
    CANCEL_NEVER_SEEN = "收到撤销：没有这笔交易，没有可撤销的", "gets the cancel: never seen this number, nothing to cancel";
    REFUND_RETURNS = "收到退款请求：{} 元退还顾客", "gets the refund: gives {} back to the buyer";
    REFUND_ASKED_DONE = "收到退款查询：{} 元已退还", "is asked about the refund: {} went back";
    REFUND_ASKED_NOT_DONE = "收到退款查询：没有退过", "is asked about the refund: nothing went back";
    OTHER_ANSWER = "收到 {}：{}", "gets a {}: {}";
    ANSWER_LOST = "；应答没有送回", "; the answer does not get back";

    // The end of a scene.
    CASHIER_READS = "收银员看到：{}", "the cashier reads: {}";
    LEDGER = "支付宝账本：扣款 {}，退还 {}", "Alipay's ledger: charged {}, returned {}";
    DIFFERS = "不符：{}", "this differs: {}";
    DIFFERS_STATE = "终端的结果是 {} / {}，应为 {} / {}", "the terminal says {} / {}, and not {} / {}";
    DIFFERS_LEDGER = "账本扣款 {}、退还 {}，应为 {}、{}", "the ledger has charged {} and returned {}, and not {} and {}";
    DIFFERS_BACK = "终端说已退 {}，账本上退了 {}", "the terminal says that {} went back, and the ledger {}";
    DIFFERS_WORD = "终端的说法与账本不一致", "the terminal's word is not what the ledger says";
    DIFFERS_OPEN = "交易还可以被支付", "the trade can still be paid";
    DIFFERS_PAYS = "支付请求被执行了 {} 次", "{} pays were carried out";
    DIFFERS_STRANGER = "账本里多了单号 {}", "the ledger knows the number {}";
    DIFFERS_ANSWER = "答复是 {}，应为 {}", "the answer was {}, and not {}";
    DIFFERS_TIME = "等不到：{}", "did not come: {}";
    DIFFERS_END = "守护进程没有正常结束", "the daemon did not end well";
    DIFFERS_BOOKS = "两边的账不一致", "the two books differ";

    // The end of it all.
    TABLE_SCENE = "场景", "SCENE";
    TABLE_AMOUNT = "金额", "AMOUNT";
    TABLE_TERMINAL = "终端", "TERMINAL";
    TABLE_CHARGED = "支付宝扣款", "CHARGED";
    TABLE_RETURNED = "退还", "RETURNED";
    ALL_GOOD =
        "{} 笔付款全部如约结束。终端收款 {} 元；支付宝扣款 {} 元，退还 {} 元：账目一致 ✓",
        "All {} payments ended as promised. The terminal took {}; Alipay charged {} and returned {}: the books agree ✓";
    NOT_GOOD = "有 {} 处不符", "{} things differ";
    KEPT = "文件保留在 {}：tilld.toml、journal.db（交易流水）、ledger.jsonl（支付宝账本）、tilld.log", "Kept in {}: tilld.toml, journal.db (the terminal's), ledger.jsonl (Alipay's), tilld.log";
    INTERRUPTED = "已中断，没有留下进程", "Interrupted; no process is left behind";
    NEXT = "接下来可以试试：", "What to try next:";
    NEXT_BUILD = "先编译出 tilld", "build tilld as well";
    NEXT_SANDBOX = "单独启动模拟的支付宝", "the simulated Alipay by itself";
    NEXT_DAEMON = "另开窗口，启动终端", "in another window, a terminal";
    NEXT_PAY = "再开窗口，自己收一笔款（付款码用 28 开头的 18 位数字）", "in a third one, take a payment (a code is 28 and 16 more digits)";
    CANNOT = "演示无法继续：{}", "The demo cannot go on: {}";

    // The scenes.
    PAID = "一扫即付", "Paid at once";
    PAID_SHOWS = "顾客出示付款码，扫码枪一扫，支付宝当场扣款。", "The buyer shows the code, the scanner reads it, Alipay charges.";
    CONFIRMED = "顾客在手机上确认", "The buyer confirms on the phone";
    CONFIRMED_SHOWS = "金额较大，支付宝要求顾客输入密码；终端一边等一边查询。", "Alipay wants a password first; the terminal asks until it is there.";
    DECLINED = "余额不足", "Declined";
    DECLINED_SHOWS =
        "支付宝拒绝了，但留下一笔顾客仍可能付款的交易；终端关闭它之后才说“未收款”。",
        "Alipay refuses, but leaves a trade that could still be paid. It is closed before anybody hears “not paid”.";
    WALLET = "先扫了微信码", "The wrong wallet first";
    WALLET_SHOWS = "顾客打开了微信。终端认得出来，什么也不发送，继续等支付宝付款码。", "The buyer opens WeChat. The terminal knows the difference, sends nothing and stays ready.";
    TIMEOUT = "顾客一直不确认", "Never confirmed";
    TIMEOUT_SHOWS = "时限一到：最后查询一次，然后撤销。", "When the time is over: one last question, then the cancel.";
    STOPPED = "收银员取消", "The cashier cancels";
    STOPPED_SHOWS = "取消就是提前到来的时限：同样先查询，再撤销。", "A cancel is a deadline that came early: the same question, the same cancel.";
    LOST = "扣了款，应答丢失", "Charged, and the answer is lost";
    LOST_SHOWS = "没有应答不等于没有付款。终端不猜，去查询。", "No answer is not “not paid”. The terminal does not guess, it asks.";
    RETURNED = "应答丢失，收银员取消", "Answer lost, and the cashier cancels";
    RETURNED_SHOWS = "终端决定撤销之后才得知其实已扣款：钱退还给顾客。", "Only after the decision to cancel the terminal learns that it was charged: the money goes back.";
    TWICE = "同一请求两次，同一销售单再收一次", "Asked twice, and tried twice";
    TWICE_SHOWS = "重复的请求是同一笔付款；同一销售单的第二次收款被拒绝。", "The same request is the same payment, and a second attempt for the same sale is refused.";
    KILLED = "付款途中守护进程被杀死", "The daemon is killed in the middle";
    KILLED_SHOWS = "支付宝已扣款，终端还没收到应答就被 SIGKILL。重启之后，它自己查清结果。", "Alipay has charged, and the terminal dies before it hears so. Started again, it finds out by itself.";
    LATE = "撤销之后，支付请求才到", "The pay arrives after the cancel";
    LATE_SHOWS =
        "支付请求卡在路上，支付宝说“没有这笔交易”。终端不信，等到它不可能再扣款为止。",
        "A pay is stuck in the network, and Alipay has “never seen” it. The terminal does not trust that, and stays on it.";

    PART = "退一部分，应答丢失", "Refunded in part, the answer lost";
    PART_SHOWS =
        "支付宝退了款，但应答没有送回。退款有自己的单号：查询之后才说“已退款”，再发一次也不会多退。",
        "Alipay gives it back, and the answer is lost. A refund has a number: it is asked about, and made once.";
    REST = "退剩下的，守护进程被杀死", "Refunded, and the daemon killed";
    REST_SHOWS =
        "先退一部分，再退剩下的全部。终端没等到应答就被 SIGKILL；重启之后，它自己查清这笔退款。",
        "A part first, then all that is left. The terminal dies before it hears of it, and finds out when it is back.";

    COFFEE = "咖啡", "coffee";
    LUNCH = "午餐套餐", "lunch";
    HEADPHONES = "耳机", "headphones";
    TEA = "奶茶", "milk tea";
    BOOK = "书", "a book";
    UMBRELLA = "雨伞", "an umbrella";
    FLOWERS = "鲜花", "flowers";
    CAKE = "蛋糕", "a cake";
    FRUIT = "水果", "fruit";
    SCARF = "围巾", "a scarf";
    LAMP = "台灯", "a lamp";
    TEAPOT = "茶壶", "a teapot";
    GLOVES = "手套", "gloves";

    // What was waited for in vain.
    AWAITED_STATE = "状态 {}", "the state {}";
    AWAITED_END = "付款的结果", "the end of the payment";
    AWAITED_SCAN = "扫码的回音", "word of the scan";
    AWAITED_REFUND = "退款的结果", "the end of the refund";
    AWAITED_PAY = "支付宝收到支付请求", "the pay at the gateway";
}
