// What a dashboard of ours may be: Grafana's own types, with options by kind of panel and queries by data source.
import type { Dashboard, Panel } from '@grafana/schema/dist/esm/raw/dashboard/x/Dashboard_types.gen';
import type { Options as Bars } from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type { Options as Stat } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type { Options as Table } from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type { Options as Text } from '@grafana/schema/dist/esm/raw/composable/text/panelcfg/x/TextPanelCfg_types.gen';
import type {
  FieldConfig as Drawn,
  Options as Lines,
} from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// JSON has strings where TypeScript has enumerations.
type Plain<T> = T extends string ? `${T}` : T extends (infer U)[] ? Plain<U>[] : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;

interface Lucene {
  refId: string;
  datasource: { type: 'elasticsearch'; uid: string };
  timeField: '@timestamp';
  query: string;
  alias?: string;
  metrics: (
    | { id: string; type: 'count' }
    | { id: string; type: 'cardinality' | 'max' | 'min' | 'sum' | 'avg'; field: string }
    | { id: string; type: 'raw_data'; settings: { size: string } }
  )[];
  bucketAggs: (
    | { id: string; type: 'terms'; field: string; settings: Record<'min_doc_count' | 'size' | 'order' | 'orderBy', string> & { missing?: string } }
    | { id: string; type: 'date_histogram'; field: string; settings: Record<'interval' | 'min_doc_count' | 'trimEdges', string> }
    | { id: string; type: 'nested'; field: string; settings: Record<string, never> }
  )[];
}

interface Prom {
  refId: string;
  expr: string;
  legendFormat: string;
  instant: boolean;
  range: boolean;
  editorMode: 'code';
  datasource: { type: 'prometheus'; uid: string };
}

type Common = Omit<Plain<Panel>, 'type' | 'options' | 'targets'> & Required<Pick<Panel, 'id' | 'title' | 'description'>>;
type Shown<Kind extends string, Options> = Common & { type: Kind; options: Partial<Plain<Options>>; targets?: (Lucene | Prom)[] };
type Ours =
  | Shown<'bargauge', Bars>
  | Shown<'stat', Stat>
  | Shown<'table', Table>
  | Shown<'text', Text>
  | (Omit<Shown<'timeseries', Lines>, 'fieldConfig'> & {
      fieldConfig: { defaults: Omit<Plain<NonNullable<Panel['fieldConfig']>['defaults']>, 'custom'> & { custom: Partial<Plain<Drawn>> }; overrides: Plain<NonNullable<Panel['fieldConfig']>['overrides']> };
    });
type Variable = Plain<NonNullable<NonNullable<Dashboard['templating']>['list']>[number]>;
export type Board = Omit<Plain<Dashboard>, 'panels' | 'templating'> & { panels: Ours[]; templating: { list: Variable[] } };
