SELECT 1;

  /* for
ever; 