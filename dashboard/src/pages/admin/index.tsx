import { Empty, Page, Parted, useWho } from '~/parts'
import { Accounts } from './accounts'
import { Audit } from './audit'
import { Grants } from './money'
import { Held } from './held'
import { Space } from './space'
import { Users } from './users'

/** What only the owner of the installation does. */
export default function Admin() {
  const { owner } = useWho()
  if (!owner) {
    return (
      <Page title="Admin">
        <div className="pc-card">
          <Empty title="This page is for the owner of the installation">Ask her for an account, a grant, or another limit.</Empty>
        </div>
      </Page>
    )
  }
  return (
    <Page title="Admin">
      <Held />
      <Parted
        label="Parts of the administration"
        tabs={[
          { name: 'accounts', title: 'Accounts', content: <Accounts /> },
          { name: 'users', title: 'Users', content: <Users /> },
          { name: 'money', title: 'Grants and limits', content: <Grants /> },
          { name: 'audit', title: 'Audit log', content: <Audit /> },
          { name: 'space', title: 'Space', content: <Space /> },
        ]}
      />
    </Page>
  )
}
