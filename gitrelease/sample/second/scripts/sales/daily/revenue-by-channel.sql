DELETE FROM revenue_by_channel WHERE biz_date = '${biz_date}';

INSERT INTO revenue_by_channel (biz_date, channel, orders, revenue)
SELECT o.biz_date, o.channel, count(*), sum(o.quantity * p.price)
FROM order_lines AS o
JOIN products AS p ON p.sku = o.sku
WHERE o.biz_date = '${biz_date}'
GROUP BY o.biz_date, o.channel;
