-- What dws_orders_daily leaves behind: one row for each day and region.
DELETE FROM order_summary WHERE biz_date = '${biz_date}';

INSERT INTO order_summary (biz_date, region, orders, amount)
SELECT '${biz_date}', region, count(*), sum(amount)
FROM orders_clean
WHERE dt = '${biz_date}'
  AND status NOT IN ('cancelled', 'returned') -- a returned order is no revenue
GROUP BY region;
