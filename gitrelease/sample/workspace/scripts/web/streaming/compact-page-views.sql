ALTER TABLE page_views_per_minute CONCATENATE;
