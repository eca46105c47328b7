INSERT OVERWRITE TABLE orders_clean PARTITION (dt='${biz_date}')
SELECT * FROM orders_raw WHERE dt='${biz_date}' AND amount > 0;
