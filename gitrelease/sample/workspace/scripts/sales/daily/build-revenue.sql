-- Safe to run twice: the day is removed before it is written.
DELETE FROM revenue_daily WHERE biz_date = '${biz_date}';

INSERT INTO revenue_daily (biz_date, region, sku, orders, revenue)
SELECT '${biz_date}', o.region, o.sku, count(*), sum(o.quantity * p.price)
FROM order_lines AS o
JOIN products AS p ON p.sku = o.sku
WHERE o.biz_date = '${biz_date}'
GROUP BY o.region, o.sku;
