import { Skeleton } from '@mantine/core'
import { Page } from '~/parts/Page'

/** What stands there while the code of a page comes. */
export function Waiting() {
  return (
    <Page title="PiCloud">
      <Skeleton height={88} radius={8} />
      <Skeleton height={320} radius={8} />
    </Page>
  )
}
