INSERT OVERWRITE TABLE products PARTITION (dt = '${biz_date}')
SELECT sku, title, category, cast(price AS decimal(12, 2)) AS price
FROM price_list_raw
WHERE dt = '${biz_date}'
  AND sku IS NOT NULL;
