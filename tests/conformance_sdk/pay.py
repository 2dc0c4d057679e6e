"""Alipay's own Python SDK against the sandbox: pay.py GATEWAY DIR."""

import base64
import json
import logging
import os
import re
import sys
from datetime import datetime, timedelta
from http.client import HTTPConnection
from urllib.parse import urlsplit

from alipay.aop.api.AlipayClientConfig import AlipayClientConfig
from alipay.aop.api.DefaultAlipayClient import DefaultAlipayClient
from alipay.aop.api.domain.AlipayTradeCancelModel import AlipayTradeCancelModel
from alipay.aop.api.domain.AlipayTradeFastpayRefundQueryModel import AlipayTradeFastpayRefundQueryModel
from alipay.aop.api.domain.AlipayTradePayModel import AlipayTradePayModel
from alipay.aop.api.domain.AlipayTradePrecreateModel import AlipayTradePrecreateModel
from alipay.aop.api.domain.AlipayTradeQueryModel import AlipayTradeQueryModel
from alipay.aop.api.domain.AlipayTradeRefundModel import AlipayTradeRefundModel
from alipay.aop.api.request.AlipayTradeCancelRequest import AlipayTradeCancelRequest
from alipay.aop.api.request.AlipayTradeFastpayRefundQueryRequest import AlipayTradeFastpayRefundQueryRequest
from alipay.aop.api.request.AlipayTradePayRequest import AlipayTradePayRequest
from alipay.aop.api.request.AlipayTradePrecreateRequest import AlipayTradePrecreateRequest
from alipay.aop.api.request.AlipayTradeQueryRequest import AlipayTradeQueryRequest
from alipay.aop.api.request.AlipayTradeRefundRequest import AlipayTradeRefundRequest
from alipay.aop.api.util import WebUtils
from pyasn1.codec.der import decoder

gateway, folder = sys.argv[1:]
logging.disable(logging.CRITICAL)


def connect(url, query_string, timeout):
    """The SDK's own function cannot do ports; all else is as it does it."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    return f"{url}?{query_string}", connection


WebUtils.get_http_connection = connect


def read(name):
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return file.read()


def bare(pem):
    return re.sub(r"-----[^-]+-----|\s", "", pem)


def pkcs1(pem):
    """The SDK takes PKCS#1 only; a PKCS#8 file has that inside."""
    info, _ = decoder.decode(base64.b64decode(bare(pem)))
    return base64.b64encode(bytes(info[2])).decode()


def client(alipay_public_key):
    config = AlipayClientConfig()
    config.server_url = gateway
    config.app_id = read("app_id").strip()
    config.app_private_key = pkcs1(read("app_private_key.pem"))
    config.alipay_public_key = alipay_public_key
    return DefaultAlipayClient(alipay_client_config=config)


alipay = client(bare(read("alipay_public_key.pem")))
count = 0


def call(request, model, **fields):
    """One call; the SDK verifies the signature and raises if it does not fit."""
    filled = model()
    for name, value in fields.items():
        setattr(filled, name, value)
    return json.loads(alipay.execute(request(biz_model=filled)))


def pay(order, amount, **more):
    global count
    count += 1
    return call(
        AlipayTradePayRequest, AlipayTradePayModel,
        out_trade_no=order, scene="bar_code", auth_code=f"281111{count:010}",
        subject="咖啡 + 牛奶 100%", total_amount=amount, store_id="NJ_001", **more,
    )


def query(order):
    return call(AlipayTradeQueryRequest, AlipayTradeQueryModel, out_trade_no=order)


def cancel(order):
    return call(AlipayTradeCancelRequest, AlipayTradeCancelModel, out_trade_no=order)


def same(what, got, want):
    if got != want:
        sys.exit(f"python SDK: {what}: got {got!r}, want {want!r}")


expire = (datetime.now() + timedelta(minutes=2)).strftime("%Y-%m-%d %H:%M:%S")
answer = pay("PY_PAID", "12.50", time_expire=expire, product_code="FACE_TO_FACE_PAYMENT")
same("pay", [answer[k] for k in ("code", "out_trade_no", "total_amount")], ["10000", "PY_PAID", "12.50"])
answer = query("PY_PAID")
same("query", [answer[k] for k in ("trade_status", "total_amount", "subject")], ["TRADE_SUCCESS", "12.50", "咖啡 + 牛奶 100%"])
same("pay again", pay("PY_PAID", "12.50")["sub_code"], "ACQ.TRADE_HAS_SUCCESS")
answer = call(AlipayTradeRefundRequest, AlipayTradeRefundModel,
              out_trade_no="PY_PAID", refund_amount="2.50", out_request_no="R1")
same("refund", [answer[k] for k in ("code", "fund_change", "refund_fee")], ["10000", "Y", "2.50"])
answer = call(AlipayTradeFastpayRefundQueryRequest, AlipayTradeFastpayRefundQueryModel,
              out_trade_no="PY_PAID", out_request_no="R1")
same("refund query", [answer[k] for k in ("refund_status", "refund_amount")], ["REFUND_SUCCESS", "2.50"])
same("a date that nobody asked for", answer.get("gmt_refund_pay"), None)
answer = call(AlipayTradeFastpayRefundQueryRequest, AlipayTradeFastpayRefundQueryModel,
              out_trade_no="PY_PAID", out_request_no="R1", query_options=["gmt_refund_pay"])
same("the date", bool(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", answer["gmt_refund_pay"])), True)
answer = call(AlipayTradeFastpayRefundQueryRequest, AlipayTradeFastpayRefundQueryModel,
              out_trade_no="PY_PAID", out_request_no="R9")
same("a refund of nobody's", [answer.get(k) for k in ("code", "refund_status")], ["10000", None])
answer = call(AlipayTradeRefundRequest, AlipayTradeRefundModel,
              out_trade_no="PY_PAID", refund_amount="2.50", out_request_no="R1")
same("refund again", answer["fund_change"], "N")

code = dict(out_trade_no="PY_CODE", total_amount="3.00", subject="咖啡", qr_code_timeout_express="5m")
answer = call(AlipayTradePrecreateRequest, AlipayTradePrecreateModel, **code)
same("precreate", answer["qr_code"].startswith("https://qr.alipay.com/bax"), True)
same("not scanned", query("PY_CODE")["sub_code"], "ACQ.TRADE_NOT_EXIST")
same("precreate again", call(AlipayTradePrecreateRequest, AlipayTradePrecreateModel, **code)["sub_code"],
     "ACQ.APPLY_PC_MERCHANT_CODE_ERROR")

same("waiting", pay("PY_WAIT", "77.04")["code"], "10003")
same("waiting query", query("PY_WAIT")["trade_status"], "WAIT_BUYER_PAY")
same("cancel", cancel("PY_WAIT").get("action"), "close")
same("closed", query("PY_WAIT")["trade_status"], "TRADE_CLOSED")
same("cancel of a stranger", cancel("PY_NEVER").get("action"), None)
same("declined", pay("PY_POOR", "77.05")["sub_code"], "ACQ.BUYER_BALANCE_NOT_ENOUGH")
same("a slash", call(AlipayTradePayRequest, AlipayTradePayModel, out_trade_no="PY_SLASH", scene="bar_code",
                     auth_code="2811111111111111", subject="a/b", total_amount="1.00")["sub_code"],
     "ACQ.INVALID_PARAMETER")

# The SDK itself must object where the signature is wrong.
try:
    pay("PY_FORGED", "77.24")
except Exception as error:  # noqa: BLE001 - the SDK raises its own kinds
    assert "sign" in str(error).lower() or "sign" in type(error).__name__.lower(), error
else:
    sys.exit("python SDK: a wrong signature was believed")
try:
    alipay = client(bare(read("app_public_key.pem")))
    query("PY_PAID")
except Exception:  # noqa: BLE001
    pass
else:
    sys.exit("python SDK: the answer fits the application's own key")
print("python SDK: ok")
