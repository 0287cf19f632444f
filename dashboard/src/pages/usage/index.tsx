import { Button } from '@mantine/core'
import { IconPrinter } from '@tabler/icons-react'
import { Link } from 'wouter'
import { Page, useQuery } from '~/parts'
import { Credit } from './credit'
import { Prices } from './prices'
import { Report } from './report'
import { Spent } from './spent'

/** What there is to spend, what was spent on what, and what it costs. */
export default function Usage() {
  const [{ view }] = useQuery('view')
  if (view === 'report') return <Report />
  const report = (
    <Button component={Link} href="/usage?view=report" variant="default" leftSection={<IconPrinter size={14} />}>
      Grant report
    </Button>
  )
  return (
    <Page title="Usage" actions={report}>
      <Credit />
      <Spent />
      <Prices />
    </Page>
  )
}
