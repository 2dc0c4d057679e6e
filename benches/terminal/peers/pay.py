"""Pays with Alipay's own Python SDK: pay.py GATEWAY DIR LANES WARM COUNT."""

import base64
import json
import logging
import os
import re
import ssl
import sys
import threading
import time
from http.client import HTTPSConnection
from urllib.parse import urlsplit

from alipay.aop.api.AlipayClientConfig import AlipayClientConfig
from alipay.aop.api.DefaultAlipayClient import DefaultAlipayClient
from alipay.aop.api.domain.AlipayTradePayModel import AlipayTradePayModel
from alipay.aop.api.request.AlipayTradePayRequest import AlipayTradePayRequest
from alipay.aop.api.util import WebUtils
from pyasn1.codec.der import decoder

gateway, folder = sys.argv[1:3]
lanes, warm, count = map(int, sys.argv[3:])
logging.disable(logging.CRITICAL)
# Read once; the SDK itself would read the system's authorities for each call.
trust = ssl.create_default_context(cafile=os.path.join(folder, "ca.pem"))


def connect(url, query_string, timeout):
    """The SDK's own function cannot do ports; all else is as it does it."""
    parts = urlsplit(url)
    connection = HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=trust)
    return f"{url}?{query_string}", connection


WebUtils.get_http_connection = connect


def bare(name):
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return re.sub(r"-----[^-]+-----|\s", "", file.read())


config = AlipayClientConfig()
config.server_url = gateway
config.app_id = "2014072300007148"
# The SDK takes PKCS#1 only; a PKCS#8 file has that inside.
info, _ = decoder.decode(base64.b64decode(bare("app_private_key.pem")))
config.app_private_key = base64.b64encode(bytes(info[2])).decode()
config.alipay_public_key = bare("alipay_public_key.pem")
alipay = DefaultAlipayClient(alipay_client_config=config)


def pay(number):
    model = AlipayTradePayModel()
    model.out_trade_no, model.scene, model.auth_code = f"PY{number}", "bar_code", f"28{number:016}"
    model.subject, model.total_amount, model.store_id = "咖啡", "88.88", "BENCH"
    answer = json.loads(alipay.execute(AlipayTradePayRequest(biz_model=model)))
    assert answer["code"] == "10000", answer


def pay_all(start, many):
    def lane(n):
        for number in range(start + n, start + many, lanes):
            pay(number)

    threads = [threading.Thread(target=lane, args=(n,)) for n in range(lanes)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


pay_all(0, warm)
begun, cpu = time.monotonic(), time.process_time()
pay_all(warm, count)
print(json.dumps({"payments": count, "seconds": time.monotonic() - begun, "cpu_seconds": time.process_time() - cpu}))
