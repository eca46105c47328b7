DELETE FROM revenue_by_region WHERE biz_date = '${biz_date}';

INSERT INTO revenue_by_region (biz_date, region, orders, revenue)
SELECT biz_date, region, sum(orders), sum(revenue)
FROM revenue_daily
WHERE biz_date = '${biz_date}'
GROUP BY biz_date, region;
